package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New].
type OptionError struct{ Option, Reason string }

func (e *OptionError) Error() string { return "admin: " + e.Option + ": " + e.Reason }

// owned is something of the application's that does the panel's writes, and
// the connection that it uses.
type owned[T any] struct {
	conn  string
	label string
	it    T
}

type config struct {
	authorize     func(*http.Request) (Access, error)
	deny          http.Handler
	audit         func(context.Context, Event)
	logger        *slog.Logger
	title         string
	timeout       time.Duration
	interval      time.Duration
	streams       int
	sessionValues bool
	hidden        []string
	origins       []string

	limiters []owned[*ratelimit.Limiter]
	sessions []owned[*session.Manager]
	caches   []owned[*cache.Cache]
	lockers  []owned[*lockmw.Locker]
	jobs     []owned[*cronlock.Job]
}

// WithAuthorizer says who may use the panel and how. It is asked for every
// request. An error, or an [Access] without Read, is answered 403; see
// [WithDenyHandler]. The error is logged, never shown. It is required: there is no default.
func WithAuthorizer(authorize func(*http.Request) (Access, error)) Option {
	return optionFunc(func(c *config) { c.authorize = authorize })
}

// WithDenyHandler answers those who may not, in place of a plain 403: with a
// redirect to a login, or 401 and a challenge.
func WithDenyHandler(h http.Handler) Option { return optionFunc(func(c *config) { c.deny = h }) }

// WithAudit sets the hook that is told of each write, when it was done or had
// failed. It runs before the answer goes out. The default is none.
func WithAudit(audit func(ctx context.Context, e Event)) Option {
	return optionFunc(func(c *config) { c.audit = audit })
}

// WithLogger sets the logger, for refusals of the authorizer and pages that
// cannot be made. The default discards.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

// WithTitle says on each page whose Redis this is, "orders, staging". The default
// is "Redis".
func WithTitle(title string) Option { return optionFunc(func(c *config) { c.title = title }) }

// WithTimeout bounds all that Redis is asked for one page. The default is 2s.
func WithTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.timeout = d }) }

// WithStreams bounds how many pages with live charts are served at a time, and
// how often each asks its server; further ones show no charts. The default is 16 and 1s.
func WithStreams(n int, every time.Duration) Option {
	return optionFunc(func(c *config) { c.streams, c.interval = n, every })
}

// WithSessionValues(true) shows what sessions hold, which may be anything that
// users have entered, and answers that package idempotency keeps. Tokens are not in
// Redis and never shown. The default is false.
func WithSessionValues(on bool) Option { return optionFunc(func(c *config) { c.sessionValues = on }) }

// WithHiddenKeys hides the values of keys that begin so. Those of sessions are
// hidden anyway. The default is none.
func WithHiddenKeys(prefixes ...string) Option {
	return optionFunc(func(c *config) { c.hidden = append(c.hidden, prefixes...) })
}

// WithTrustedOrigins allows writes from pages of these origins,
// "https://ops.example.com", where a proxy changes the host. The default is none but
// the panel's own.
func WithTrustedOrigins(origins ...string) Option {
	return optionFunc(func(c *config) { c.origins = append(c.origins, origins...) })
}

// WithLimiter lets the panel block and unblock clients by their names, through
// the limiter itself, which uses the connection conn. label tells limiters apart. It
// may be given several times.
func WithLimiter(conn, label string, l *ratelimit.Limiter) Option {
	return optionFunc(func(c *config) { c.limiters = append(c.limiters, owned[*ratelimit.Limiter]{conn, label, l}) })
}

// WithSessions lets the panel list and revoke the sessions of a user. It may be
// given several times.
func WithSessions(conn, label string, m *session.Manager) Option {
	return optionFunc(func(c *config) { c.sessions = append(c.sessions, owned[*session.Manager]{conn, label, m}) })
}

// WithCache lets the panel explain requests and purge by URL and tag. It may be
// given several times.
func WithCache(conn, label string, responses *cache.Cache) Option {
	return optionFunc(func(c *config) { c.caches = append(c.caches, owned[*cache.Cache]{conn, label, responses}) })
}

// WithLocks lets the panel take locks from their holders, and find them by their
// keys. Those of [lockmw.NewRedlock] are found only; name the connection of each of its
// masters. It may be given several times.
func WithLocks(conn, label string, l *lockmw.Locker) Option {
	return optionFunc(func(c *config) { c.lockers = append(c.lockers, owned[*lockmw.Locker]{conn, label, l}) })
}

// WithJobs names jobs, of which Redis has only hashes. It may be given several
// times.
func WithJobs(conn string, jobs ...*cronlock.Job) Option {
	return optionFunc(func(c *config) {
		for _, j := range jobs {
			c.jobs = append(c.jobs, owned[*cronlock.Job]{conn: conn, it: j})
		}
	})
}

func defaults() config {
	return config{logger: slog.New(slog.DiscardHandler), title: "Redis", timeout: 2 * time.Second, interval: time.Second, streams: 16}
}

func (c *config) validate(set *connect.Set) error {
	var errs []error
	check := func(ok bool, option, reason string) {
		if !ok {
			errs = append(errs, &OptionError{Option: option, Reason: reason})
		}
	}
	check(set != nil, "set", "is nil")
	check(c.authorize != nil, "WithAuthorizer", "is missing: say who may use the panel")
	check(c.logger != nil, "WithLogger", "is nil")
	check(c.timeout > 0, "WithTimeout", fmt.Sprintf("%v is not above 0", c.timeout))
	check(c.streams >= 0, "WithStreams", fmt.Sprintf("%d is below 0", c.streams))
	check(c.interval >= 100*time.Millisecond, "WithStreams", fmt.Sprintf("%v is below 100ms", c.interval))
	for _, prefix := range c.hidden {
		check(prefix != "", "WithHiddenKeys", "is empty: that would be all keys")
	}
	for _, origin := range c.origins {
		err := http.NewCrossOriginProtection().AddTrustedOrigin(origin)
		check(err == nil, "WithTrustedOrigins", fmt.Sprintf("%q is not an origin", origin))
	}
	uses(c.limiters, set, check, "WithLimiter", func(l *ratelimit.Limiter) bool { return l != nil })
	uses(c.sessions, set, check, "WithSessions", func(m *session.Manager) bool { return m != nil })
	uses(c.caches, set, check, "WithCache", func(r *cache.Cache) bool { return r != nil })
	uses(c.lockers, set, check, "WithLocks", func(l *lockmw.Locker) bool { return l != nil })
	uses(c.jobs, set, check, "WithJobs", func(j *cronlock.Job) bool { return j != nil })
	return errors.Join(errs...)
}

// uses checks what the application lends, and puts the connection's own name in
// place of an alias.
func uses[T any](all []owned[T], set *connect.Set, check func(bool, string, string), option string, there func(T) bool) {
	seen := map[[2]string]bool{}
	for i, o := range all {
		check(there(o.it), option, "is nil")
		if set == nil {
			continue
		}
		conn, err := set.Get(o.conn)
		if err != nil {
			check(false, option, err.Error())
			continue
		}
		all[i].conn = conn.Name()
		id := [2]string{conn.Name(), o.label}
		check(option == "WithJobs" || !seen[id], option, fmt.Sprintf("label %q is in use twice", o.label))
		seen[id] = true
	}
}
