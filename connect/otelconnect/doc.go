// Package otelconnect reports OpenTelemetry traces and metrics of a connection
// of package connect, through go-redis' own redisotel.
//
//	telemetry, err := otelconnect.Instrument(conn) // right after connect.Open
//	if err != nil { … }
//	defer telemetry.Close()
//
// # What is reported
//
// A span for each command that is sent (a pipeline is one), named after the
// command, and one for each dial. Calls that a breaker rejects cost nothing and
// have no span. Commands that [connect.Conn.Batched] sends together are one
// span without a parent, because they belong to several requests. Metrics are
// redisotel's about pools and durations, its counters as the semantic
// conventions have them, and those of [connect.Stats]:
//
//	redishttp.connection.in_flight          calls now
//	redishttp.connection.dials              and .dial_errors
//	redishttp.connection.batched            commands sent in automatic batches
//	redishttp.connection.breaker.open       nodes cut off now
//	redishttp.connection.breaker.opened     how often, and .refused: calls
//
// Everything carries redishttp.connection.name and .mode.
//
// # What is not reported
//
// Commands with their keys and values, unless [WithStatements] turns them on: keys
// hold session tokens and addresses, values personal data. redisotel by itself
// reports them. Redis repeats the arguments of unknown commands in its error; they
// are removed, in spans and for the caller.
//
// For a connection of connect.FromClient the figures of dials and breakers stay 0.
//
// It is a module of its own, so that programs without OpenTelemetry do not depend
// on it. It creates no keys and sends no commands. When Redis is down, it reports
// the outage.
package otelconnect
