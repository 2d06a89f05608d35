package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/setting"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// An Option changes a default of [New]. Options only record; New checks them.
// Of those that set one value the last counts; those that register a
// middleware, [WithHiddenKeys] and [WithTrustedOrigins] add up.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New]. It is the same type in all
// packages of this module, so one [errors.As] finds the mistakes of each.
type OptionError = setting.Error

// owned is a middleware that the application has registered: the panel writes
// through it.
type owned[T any] struct {
	// conn is the name of the connection that it uses.
	conn string
	// label tells it from others of its kind and connection.
	label string
	it    T
}

// config is what the options set.
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

// WithAuthorizer sets the function that decides who may use the panel, and how.
// It is called for every request, concurrently, so keep it fast. An error, or
// an [Access] without Read, rejects the request, see [WithDenyHandler]; the
// error is logged and never shown. It is required: there is no default, and nil
// is a mistake.
func WithAuthorizer(authorize func(*http.Request) (Access, error)) Option {
	return optionFunc(func(c *config) { c.authorize = authorize })
}

// WithDenyHandler sets the response to requests that the authorizer rejects; for
// the reason see [DenyReason]. Security headers and Cache-Control: no-store are set
// before. The default, also for nil, is 403 as application/problem+json. Use it to
// redirect to a login, or to return 401 with a challenge.
func WithDenyHandler(h http.Handler) Option { return optionFunc(func(c *config) { c.deny = h }) }

// WithAudit sets the hook that is called with each write, after it was done or
// failed and before the response is sent. The default, also for nil, is none.
// Use it to record who changed what; a write is not undone if the record fails.
// It delays the response, and may be called concurrently.
func WithAudit(audit func(ctx context.Context, e Event)) Option {
	return optionFunc(func(c *config) { c.audit = audit })
}

// WithLogger sets the logger for rejected requests and for pages that cannot be
// rendered. The default discards; nil is a mistake. Set it to notice attempts
// of users without access.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

// WithTitle sets the title of all pages, such as "orders, staging". The default is
// "Redis". Use it where operators have several panels open.
func WithTitle(title string) Option { return optionFunc(func(c *config) { c.title = title }) }

// WithTimeout sets the deadline of all calls to Redis for one page together.
// The default is 2s; 0 and less are mistakes. Raise it for a Redis that is far
// away.
func WithTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.timeout = d }) }

// WithStreams sets how many pages may show live charts at the same time, and
// how often each of them reads its server's INFO. The defaults are 16 and 1s. 0
// turns charts off; negative numbers and intervals below 100ms are mistakes.
// Further pages are shown without charts. Lower it where many operators watch
// one small server.
func WithStreams(n int, every time.Duration) Option {
	return optionFunc(func(c *config) { c.streams, c.interval = n, every })
}

// WithSessionValues sets whether the panel shows the values in sessions, which
// may be anything that users have entered, and the responses that package
// idempotency keeps. The default is false. Tokens are not in Redis and never
// shown. Use true for development only.
func WithSessionValues(on bool) Option { return optionFunc(func(c *config) { c.sessionValues = on }) }

// WithHiddenKeys hides the values of keys that begin with one of the prefixes;
// their names are shown. The default is none beside sessions, which are hidden
// anyway; "" is a mistake. It may be given several times. Use it for keys of
// your own that hold secrets.
func WithHiddenKeys(prefixes ...string) Option {
	return optionFunc(func(c *config) { c.hidden = append(c.hidden, prefixes...) })
}

// WithTrustedOrigins allows writes from pages of these origins, such as
// "https://ops.example.com". The default is the panel's own origin alone; what is
// not an origin is a mistake. Use it where a proxy changes the host.
func WithTrustedOrigins(origins ...string) Option {
	return optionFunc(func(c *config) { c.origins = append(c.origins, origins...) })
}

// WithLimiter registers a limiter, so that the panel can block and unblock
// clients by name and finds its keys under any prefix. conn names the
// connection that the limiter uses; "" stands for the only one, and is a
// mistake if there are several, as is an unknown name. label tells limiters of
// one connection apart and must not be used twice. The default is none. Use it
// where operators must help clients that were blocked.
func WithLimiter(conn, label string, l *ratelimit.Limiter) Option {
	return optionFunc(func(c *config) { c.limiters = append(c.limiters, owned[*ratelimit.Limiter]{conn, label, l}) })
}

// WithSessions registers a session manager, so that the panel can list and
// revoke the sessions of a user. conn and label are as in [WithLimiter]. The
// default is none. Only sessions with a [session.Manager.Login] have a user.
func WithSessions(conn, label string, m *session.Manager) Option {
	return optionFunc(func(c *config) { c.sessions = append(c.sessions, owned[*session.Manager]{conn, label, m}) })
}

// WithCache registers a cache, so that the panel can explain requests and purge
// by URL and tag. conn and label are as in [WithLimiter]. The default is none.
// Purges are those of [cache.Cache.Purge].
func WithCache(conn, label string, responses *cache.Cache) Option {
	return optionFunc(func(c *config) { c.caches = append(c.caches, owned[*cache.Cache]{conn, label, responses}) })
}

// WithLocks registers a locker, so that the panel can find locks by name and
// release them forcibly; a forced release lets a second client run beside one
// that still does. conn and label are as in [WithLimiter]. Locks of
// [lockmw.NewRedlock] can be found but not released; register them once for the
// connection of each master. The default is none.
func WithLocks(conn, label string, l *lockmw.Locker) Option {
	return optionFunc(func(c *config) { c.lockers = append(c.lockers, owned[*lockmw.Locker]{conn, label, l}) })
}

// WithJobs registers jobs, of which Redis has only the hashes, so that the panel
// can show their names. conn is as in [WithLimiter]. The default is none.
func WithJobs(conn string, jobs ...*cronlock.Job) Option {
	return optionFunc(func(c *config) {
		for _, j := range jobs {
			c.jobs = append(c.jobs, owned[*cronlock.Job]{conn: conn, it: j})
		}
	})
}

// defaults returns the configuration without options.
func defaults() config {
	return config{logger: slog.New(slog.DiscardHandler), title: "Redis", timeout: 2 * time.Second, interval: time.Second, streams: 16}
}

// validate reports every mistake at once.
func (c *config) validate(conns Connections) error {
	check := &setting.Check{Package: "admin"}
	check.That(!bounded.IsNil(conns), "conns", "is nil")
	check.That(c.authorize != nil, "WithAuthorizer", "is missing: say who may use the panel")
	check.That(c.logger != nil, "WithLogger", "is nil")
	check.That(c.timeout > 0, "WithTimeout", "%v is not above 0", c.timeout)
	check.That(c.streams >= 0, "WithStreams", "%d is below 0", c.streams)
	check.That(c.interval >= 100*time.Millisecond, "WithStreams", "%v is below 100ms", c.interval)
	for _, prefix := range c.hidden {
		check.That(prefix != "", "WithHiddenKeys", "is empty: that would be all keys")
	}
	for _, origin := range c.origins {
		err := http.NewCrossOriginProtection().AddTrustedOrigin(origin)
		check.That(err == nil, "WithTrustedOrigins", "%q is not an origin", origin)
	}
	all := connections{conns}
	attach(check, all, "WithLimiter", c.limiters)
	attach(check, all, "WithSessions", c.sessions)
	attach(check, all, "WithCache", c.caches)
	attach(check, all, "WithLocks", c.lockers)
	attach(check, all, "WithJobs", c.jobs)
	return check.Err()
}

// attach checks what one option registers, and replaces an alias, or no name at
// all, by the name of the connection.
func attach[T any](check *setting.Check, conns connections, option string, all []owned[T]) {
	seen := map[[2]string]bool{}
	for i, o := range all {
		check.That(!bounded.IsNil(o.it), option, "is nil")
		if bounded.IsNil(conns.Connections) {
			continue
		}
		if o.conn == "" {
			only, ok := conns.only()
			if check.That(ok, option, "names no connection of %v", conns.names()); !ok {
				continue
			}
			o.conn = only
		}
		conn, err := conns.get(o.conn)
		if err != nil {
			check.Fail(option, "%v", err)
			continue
		}
		all[i].conn = conn.Name()
		id := [2]string{conn.Name(), o.label}
		check.That(option == "WithJobs" || !seen[id], option, "label %q is in use twice", o.label)
		seen[id] = true
	}
}
