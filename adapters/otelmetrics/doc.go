// Package otelmetrics reports what the middlewares decide as OpenTelemetry
// metrics: it makes the Hooks of each package.
//
//	m, err := otelmetrics.New() // or with WithMeterProvider
//	if err != nil { … }
//	limiter, err := ratelimit.New(rdb, limit, ratelimit.WithHooks(m.RateLimit("api")))
//	sessions, err := session.New(rdb, session.WithHooks(m.Session("site")))
//
// # What is reported
//
//	redishttp.ratelimit.decisions        counter: outcome allowed or refused, source, policy
//	redishttp.ratelimit.duration         histogram, s: a decision
//	redishttp.ratelimit.unavailable      gauge: 1 while Redis is away
//	redishttp.session.loads              counter: found true or false
//	redishttp.session.saves              counter
//	redishttp.session.merges             counter: saves that met another request's
//	redishttp.session.events             counter: kind created, rotated, destroyed or unknown
//	redishttp.cache.requests             counter: outcome hit, stale or forward; reason, status class, stored, collapsed
//	redishttp.lock.wait                  histogram, s: of those that got it; outcome acquired or busy
//	redishttp.lock.held                  histogram, s
//	redishttp.lock.renewals              counter: outcome ok, late or failed
//	redishttp.lock.lost                  counter: reason
//	redishttp.cron.runs                  counter: job, outcome ok or error
//	redishttp.cron.duration              histogram, s: job
//	redishttp.cron.skipped               counter: job, outcome
//	redishttp.prefetches                 counter: middleware, outcome used or unused
//	redishttp.failures                   counter: middleware
//
// All carry redishttp.name, which is the argument of each method: several limiters in
// a program are told apart by it. No attribute holds anything that a client sent.
//
// Metrics of connections and nodes are those of connect/otelconnect.
//
// # What it costs
//
// No command, no goroutine. It is a module of its own, so that programs without
// OpenTelemetry do not carry it.
package otelmetrics
