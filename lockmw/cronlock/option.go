package cronlock

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/redishttp/redishttp/internal/setting"
)

// An Option changes a default of [New] for all jobs of a runner, or of
// [Runner.Job] for one. The last of a kind wins; nil is skipped.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New], [Runner.Job],
// [Job.Entry] or [Wrap]. Its fields Option and Reason say where and what. It is
// the same type in all packages of this module; find it with [errors.As].
type OptionError = setting.Error

// Hooks observe jobs, for metrics and alarms; see [WithHooks]. Any may be nil.
// They run on the goroutine of [Job.Run] and delay it, so they must not block.
type Hooks struct {
	// Started is called before the job, with its context. Finished is called
	// after it, with what it returned, also after a panic; took is how long it
	// ran.
	Started  func(ctx context.Context, r Run)
	Finished func(ctx context.Context, r Run, took time.Duration, err error)
	// Skipped is called when this instance does not run a tick, and with
	// "misfired" when a scheduler called [Job.Func] and there is none.
	// "already" and "running" are the rule: all instances but one get them for
	// each tick.
	Skipped func(ctx context.Context, job string, o Outcome)
	// Failed is called when Redis does not reply, and when [Job.Run] is called
	// with a tick that cannot be decided. Errors of the job itself go to
	// Finished.
	Failed func(ctx context.Context, job string, err error)
}

// config is what the options record; validate checks it.
type config struct {
	prefix, name string
	ttl          time.Duration
	timeout      time.Duration
	retention    time.Duration
	minGap       time.Duration
	maxAhead     time.Duration
	maxLate      time.Duration
	maxRun       time.Duration
	takeover     bool
	host         string
	location     *time.Location
	hasLocation  bool
	now          func() time.Time
	hooks        Hooks
	logger       *slog.Logger
}

// WithName tells runners apart that share a Redis; jobs of one name share their
// ticks. It matches [A-Za-z0-9._-]{1,64}. The default is "default". Use it
// where applications have jobs of equal names.
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of every Redis key: <prefix>:v1:<name>:….
// The default is "cron"; it must not be empty or have braces. Use it to match
// the key patterns of an ACL.
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithTTL sets the lease of a run, which is renewed at a third of it: how long
// it takes until the death of a holder is noticed. The default is 30s; it must
// be within 200ms and 1h, and above twice [WithTimeout]. Lower it with
// [WithTakeover] where a tick must be run again soon.
func WithTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.ttl = d }) }

// WithTimeout sets the deadline of each call to Redis. The default is 2s; it
// must be at least 1ms and below half of the TTL. A decision takes at most
// twice that. A job can wait longer than a request, so there is rarely a reason
// to lower it.
func WithTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.timeout = d }) }

// WithRetention sets how long the state of a job is kept after its last run. It
// must be longer than [WithMaxLate] and [WithMaxAhead] together, or a tick
// could run again, and longer than [WithMinGap]. The default is 8 days. Raise
// it for jobs that run less than weekly, so that [Job.Status] still shows the
// last run.
func WithRetention(d time.Duration) Option { return optionFunc(func(c *config) { c.retention = d }) }

// WithMinGap sets the least time between two starts, by the server's clock. The
// default is 0, none; it must otherwise be at least 1ms and below
// [WithRetention]. Use it for jobs that run at intervals without a common
// phase, somewhat shorter than the interval.
func WithMinGap(d time.Duration) Option { return optionFunc(func(c *config) { c.minGap = d }) }

// WithMaxAhead sets how far ahead of the server's clock a tick may be run; one
// that is further ahead waits. The default is 1m; 0 lets each wait for its
// time, and less is a mistake. Lower it where a job must not run before its
// time.
func WithMaxAhead(d time.Duration) Option { return optionFunc(func(c *config) { c.maxAhead = d }) }

// WithMaxLate sets how late a tick may be run, by the server's clock; a later
// one is [TooLate]. The default is 10m; less than 1ms is a mistake. Raise it
// for rare jobs that should run after an outage of Redis, or after a deployment
// at the time of their tick.
func WithMaxLate(d time.Duration) Option { return optionFunc(func(c *config) { c.maxLate = d }) }

// WithMaxRun ends the context of a run after d, with a cause that matches
// [context.DeadlineExceeded]. The default is 0: never; less is a mistake. Use
// it for jobs that may hang. The lease is not renewed from then on: a job that
// ignores its context may still run when the next one begins.
func WithMaxRun(d time.Duration) Option { return optionFunc(func(c *config) { c.maxRun = d }) }

// WithTakeover sets whether the instances that did not get a tick watch the one
// that did, until the run is over; if it dies before, one of them runs the tick
// again. The default is false. The job must tolerate starting twice;
// [Run.Attempt] is then above 1. The calls of the scheduler on the other
// instances last as long as the run, and send about three calls to Redis within
// [WithTTL]. Use it for jobs that must not miss a tick.
func WithTakeover(on bool) Option { return optionFunc(func(c *config) { c.takeover = on }) }

// WithHost sets the name of this instance in [Status]. The default is the
// host's name and the process id. Use it where host names say little, as in
// containers.
func WithHost(host string) Option { return optionFunc(func(c *config) { c.host = host }) }

// WithLocation sets the time zone in which [Job.Func] and [Wrap] read a
// schedule that names none, such as robfig's without CRON_TZ. The default is
// the location of [WithClock]'s times, [time.Local]; nil is a mistake. Use it
// with the scheduler's location (robfig's cron.WithLocation) where that is not
// the process's.
func WithLocation(loc *time.Location) Option {
	return optionFunc(func(c *config) { c.location, c.hasLocation = loc, true })
}

// WithClock sets the clock that schedules are evaluated with, for tests; leases go
// by the clocks of the server and the system. The default is [time.Now]; nil is a
// mistake.
func WithClock(now func() time.Time) Option { return optionFunc(func(c *config) { c.now = now }) }

// WithHooks sets functions that are called for each run and failure, for
// metrics and alarms. The default is none; the last WithHooks replaces those
// before.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. It gets misfires, failed jobs, leases that cannot
// be renewed, and mistakes. The default discards; nil is a mistake.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

func defaults() config {
	return config{
		prefix: "cron", name: "default", ttl: 30 * time.Second, timeout: 2 * time.Second, retention: 8 * 24 * time.Hour,
		maxAhead: time.Minute, maxLate: 10 * time.Minute, now: time.Now, logger: slog.New(slog.DiscardHandler),
	}
}

func (c *config) validate(hasClient bool) error {
	check := &setting.Check{Package: "cronlock"}
	check.That(hasClient, "rdb", "is nil")
	check.Name("WithName", c.name)
	check.That(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check.That(c.ttl >= 200*time.Millisecond && c.ttl <= time.Hour, "WithTTL", "%v is not within 200ms and 1h", c.ttl)
	check.That(c.timeout >= time.Millisecond && c.timeout < c.ttl/2, "WithTimeout", "%v is not within 1ms and half of the TTL", c.timeout)
	check.That(c.minGap == 0 || c.minGap >= time.Millisecond && c.minGap < c.retention, "WithMinGap", "%v is neither 0 nor within 1ms and the retention", c.minGap)
	check.That(c.maxAhead >= 0, "WithMaxAhead", "%v is below 0", c.maxAhead)
	check.That(c.maxLate >= time.Millisecond, "WithMaxLate", "%v is below 1ms", c.maxLate)
	check.That(c.retention > c.maxLate && c.retention-c.maxLate > c.maxAhead, "WithRetention", "%v is not above WithMaxLate and WithMaxAhead together: a tick could run again", c.retention)
	check.That(c.maxRun >= 0, "WithMaxRun", "%v is below 0", c.maxRun)
	check.That(!c.hasLocation || c.location != nil, "WithLocation", "is nil")
	check.That(c.now != nil, "WithClock", "is nil")
	check.That(c.logger != nil, "WithLogger", "is nil")
	return check.Err()
}
