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
// command, and one for each dial. Calls that a breaker refuses cost nothing and
// have no span. Commands that [connect.Conn.Batched] sends together are one
// span without a parent, for they belong to several requests. Metrics are
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
// # What is not
//
// Commands with their keys and values, unless [WithStatements] says so: keys
// hold session tokens and addresses, values personal data. redisotel alone
// reports them. Redis repeats the arguments of commands it does not know in its
// error; they are cut off, in spans and for the caller.
//
// It is a module of its own, so that programs without OpenTelemetry do not
// carry it. It creates no keys and sends no commands; when Redis is down it
// reports that.
package otelconnect
