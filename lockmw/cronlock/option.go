package cronlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// An Option changes a default of [New] or of [Runner.Job].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New] or [Runner.Job].
type OptionError struct{ Option, Reason string }

func (e *OptionError) Error() string { return "cronlock: " + e.Option + ": " + e.Reason }

// Hooks observe jobs. Any may be nil; they must not block.
type Hooks struct {
	// Started is called before the job, Finished after it with what it
	// returned.
	Started  func(ctx context.Context, r Run)
	Finished func(ctx context.Context, r Run, took time.Duration, err error)
	// Skipped is called when this instance does not run a tick, and with
	// [Misfired] when a scheduler called [Job.Func] and there is none.
	Skipped func(ctx context.Context, job string, o Outcome)
	// Failed is called when Redis does not answer, and when [Job.Run] is called
	// with a tick that cannot be decided.
	Failed func(ctx context.Context, job string, err error)
}

type config struct {
	prefix, name string
	ttl          time.Duration
	nodeTimeout  time.Duration
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

// WithName tells runners apart that share a Redis; jobs of one name share
// their ticks. It matches [A-Za-z0-9._-]{1,64}. The default is "default".
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of every key. The default is "cron".
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithTTL sets the lease of a run, renewed at a third of it: how long it takes
// until a holder that died is noticed. The default is 30s.
func WithTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.ttl = d }) }

// WithNodeTimeout bounds each call to Redis. The default is 2s.
func WithNodeTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.nodeTimeout = d })
}

// WithRetention sets how long the state of a job is kept after its last run. It
// must be longer than [WithMaxLate] and [WithMaxAhead] together, or a tick could
// run again, and than [WithMinGap]. The default is 8 days.
func WithRetention(d time.Duration) Option { return optionFunc(func(c *config) { c.retention = d }) }

// WithMinGap is the least time between two starts, by the server's clock, for
// jobs that run at intervals without a common phase. The default is 0.
func WithMinGap(d time.Duration) Option { return optionFunc(func(c *config) { c.minGap = d }) }

// WithMaxAhead is how far ahead of the server's clock a tick may be run; one that
// is further ahead waits. The default is 1m.
func WithMaxAhead(d time.Duration) Option { return optionFunc(func(c *config) { c.maxAhead = d }) }

// WithMaxLate is how late a tick may be run, by the server's clock. The default is 10m.
func WithMaxLate(d time.Duration) Option { return optionFunc(func(c *config) { c.maxLate = d }) }

// WithMaxRun ends a run's context after so long. The default is 0: never.
func WithMaxRun(d time.Duration) Option { return optionFunc(func(c *config) { c.maxRun = d }) }

// WithTakeover has the instances that did not get a tick watch the one that
// did, until the run is over; if it dies before, one of them runs the tick again.
// The job should bear that. The default is false.
func WithTakeover(on bool) Option { return optionFunc(func(c *config) { c.takeover = on }) }

// WithHost names this instance in [Status]. The default is the host's name and
// the process id.
func WithHost(host string) Option { return optionFunc(func(c *config) { c.host = host }) }

// WithLocation sets the time zone in which [Job.Func] and [Wrap] read a schedule
// that names none, as robfig's do without CRON_TZ. Set it to the scheduler's (robfig's
// cron.WithLocation) where that is not the process's. The default is the
// location of [WithClock]'s times, [time.Local].
func WithLocation(loc *time.Location) Option {
	return optionFunc(func(c *config) { c.location, c.hasLocation = loc, true })
}

// WithClock sets the clock that schedules are asked with; leases go by the
// server's and the system's. It is for tests. The default is [time.Now].
func WithClock(now func() time.Time) Option { return optionFunc(func(c *config) { c.now = now }) }

// WithHooks sets the observers. The default is none.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. The default discards.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

func defaults() config {
	return config{prefix: "cron", name: "default", ttl: 30 * time.Second, nodeTimeout: 2 * time.Second, retention: 8 * 24 * time.Hour,
		maxAhead: time.Minute, maxLate: 10 * time.Minute, now: time.Now, logger: slog.New(slog.DiscardHandler)}
}

var validName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (c *config) validate(hasClient bool) error {
	var errs []error
	check := func(ok bool, option, reason string) {
		if !ok {
			errs = append(errs, &OptionError{Option: option, Reason: reason})
		}
	}
	check(hasClient, "rdb", "is nil")
	check(validName.MatchString(c.name), "WithName", "does not match [A-Za-z0-9._-]{1,64}")
	check(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check(c.ttl >= 200*time.Millisecond && c.ttl <= time.Hour, "WithTTL", fmt.Sprintf("%v is not within 200ms and 1h", c.ttl))
	check(c.nodeTimeout >= time.Millisecond && c.nodeTimeout < c.ttl/2, "WithNodeTimeout", fmt.Sprintf("%v is not within 1ms and half of the TTL", c.nodeTimeout))
	check(c.minGap == 0 || c.minGap >= time.Millisecond && c.minGap < c.retention, "WithMinGap", fmt.Sprintf("%v is neither 0 nor within 1ms and the retention", c.minGap))
	check(c.maxAhead >= 0, "WithMaxAhead", fmt.Sprintf("%v is below 0", c.maxAhead))
	check(c.maxLate >= time.Millisecond, "WithMaxLate", fmt.Sprintf("%v is below 1ms", c.maxLate))
	check(c.retention > c.maxLate && c.retention-c.maxLate > c.maxAhead, "WithRetention", fmt.Sprintf("%v is not above WithMaxLate and WithMaxAhead together: a tick could run again", c.retention))
	check(c.maxRun >= 0, "WithMaxRun", fmt.Sprintf("%v is below 0", c.maxRun))
	check(!c.hasLocation || c.location != nil, "WithLocation", "is nil")
	check(c.now != nil, "WithClock", "is nil")
	check(c.logger != nil, "WithLogger", "is nil")
	return errors.Join(errs...)
}
