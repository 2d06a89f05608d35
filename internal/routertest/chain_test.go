package routertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/lockkey"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// patience bounds what must happen, not how fast.
const patience = 30 * time.Second

// subjects are what stands around the handler: each middleware alone, around
// everything, and the chain in its recommended order, the lock on the route.
var subjects = []string{"ratelimit", "session", "cache", "lockmw", "chain"}

// chain is the middlewares of one application and what they told.
type chain struct {
	rdb       redis.UniversalClient
	prefix    string
	limiter   *ratelimit.Limiter
	sessions  *session.Manager // nil when none stands around the handler
	responses *cache.Cache
	locks     *lockmw.Locker
	global    []middleware
	local     []middleware

	mu     sync.Mutex
	events []string
	keys   []string // of locks
	routes []string // their keys by pattern
}

// settings are what a test changes of the chain.
type settings struct {
	burst int
	wait  time.Duration
	rdb   redis.UniversalClient
}

func newChain(t testing.TB, subject string, s settings) *chain {
	t.Helper()
	c := &chain{rdb: s.rdb, prefix: redistest.Prefix(t)}
	if c.rdb == nil {
		c.rdb = redistest.Standalone(t).Client(t)
	}
	if s.burst == 0 {
		s.burst = 1000
	}
	key := lockkey.Path // the default
	var errs [4]error
	// One more an hour: what is left does not depend on how long a test takes.
	limit := redis_rate.Limit{Rate: 1, Burst: s.burst, Period: time.Hour}
	c.limiter, errs[0] = ratelimit.New(c.rdb, limit, ratelimit.WithKeyPrefix(c.prefix+"r"), ratelimit.WithName("limit"), ratelimit.WithTimeout(5*time.Second),
		ratelimit.WithFailureMode(ratelimit.FailClosed), ratelimit.WithHooks(ratelimit.Hooks{
			Decided: func(_ context.Context, d ratelimit.Decision, _ time.Duration) { c.note("limit: allowed=%v", d.Allowed) },
		}))
	c.sessions, errs[1] = session.New(c.rdb, session.WithKeyPrefix(c.prefix+"s"), session.WithCookie(session.Cookie{Insecure: true}), session.WithTimeouts(5*time.Second, 5*time.Second),
		session.WithHooks(session.Hooks{
			Loaded: func(_ context.Context, found bool) { c.note("session: loaded, found=%v", found) },
			Saved:  func(context.Context) { c.note("session: saved") },
			Failed: func(_ context.Context, err error) { c.note("session: %v", err) },
		}))
	c.responses, errs[2] = cache.New(c.rdb, cache.WithKeyPrefix(c.prefix+"c"), cache.WithTimeouts(5*time.Second, 5*time.Second), cache.WithBuckets(1), cache.WithEarlyRefresh(0), cache.WithRefreshContext(ownRouteContext),
		cache.WithHooks(cache.Hooks{
			Served: func(_ context.Context, s cache.Status) { c.note("cache%s", mask(s.String())) },
			Failed: func(_ context.Context, err error) { c.note("cache: %v", err) },
		}))
	c.locks, errs[3] = lockmw.New(c.rdb, lockmw.WithKeyPrefix(c.prefix+"l"), lockmw.WithTimeout(4*time.Second), lockmw.WithTTL(60*time.Second), lockmw.WithWait(s.wait),
		lockmw.WithKey(func(r *http.Request) (string, error) {
			k, err := key(r)
			route, _ := lockkey.Pattern(r)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.keys, c.routes = append(c.keys, k), append(c.routes, route)
			return k, err
		}),
		lockmw.WithHooks(lockmw.Hooks{
			Acquired: func(context.Context, uint64, time.Duration) { c.note("lock: acquired") },
			Busy:     func(context.Context, time.Duration) { c.note("lock: busy") },
		}))
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(c.responses.Close(ctx), c.locks.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	switch subject {
	case "ratelimit":
		c.global = []middleware{c.limiter.Handler}
	case "session":
		c.global = []middleware{c.sessions.Handler}
	case "cache":
		c.global = []middleware{c.responses.Handler}
	case "lockmw":
		c.global = []middleware{c.locks.Handler}
	case "chain":
		c.global = []middleware{c.limiter.Handler, c.sessions.Handler, c.responses.Handler}
		c.local = []middleware{c.locks.Handler}
	}
	if subject != "session" && subject != "chain" {
		c.sessions = nil
	}
	return c
}

func (c *chain) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, fmt.Sprintf(format, args...))
}

// told is what was noted since it was last asked.
func (c *chain) told() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := c.events
	c.events = nil
	return told
}

// visit counts the visits of a session, where there is one.
func (c *chain) visit(x *exchange) string {
	if c.sessions == nil {
		return ""
	}
	n := c.sessions.GetInt(x.r.Context(), "visits") + 1
	c.sessions.Put(x.r.Context(), "visits", n)
	return fmt.Sprint(" visit ", n)
}

var (
	hash   = regexp.MustCompile(`\{[0-9a-f]{32}\}|[A-Za-z0-9_-]{43}|[0-9a-f]{32}|[A-Z2-7]{26}`)
	number = regexp.MustCompile(`\b(ttl|t|max-age|took)=-?\d+`)
	token  = regexp.MustCompile(`^([^=]+)=[^;]*`)
)

func mask(s string) string { return number.ReplaceAllString(s, "$1=N") }

// kept is what is in Redis: the keys without what is random in them, and
// whether a lock is held. Leases of the cache come and go in the background.
func (c *chain) kept(t testing.TB) []string {
	t.Helper()
	ctx := context.Background()
	names, err := c.rdb.Keys(ctx, c.prefix+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, name := range names {
		if name = strings.TrimPrefix(name, c.prefix); !strings.Contains(name, ":l:") {
			kept = append(kept, hash.ReplaceAllString(name, "*"))
		}
	}
	slices.Sort(kept)
	// How many locks there are depends on their keys: chi's pattern has no method.
	kept = slices.CompactFunc(kept, func(a, b string) bool { return a == b && strings.HasPrefix(a, "l:") })
	c.mu.Lock()
	locked := slices.Clone(c.keys)
	c.mu.Unlock()
	for _, key := range locked {
		info, err := c.locks.Inspect(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, fmt.Sprintf("lock: held=%v waiters=%d", info.Held, info.Waiters))
	}
	return kept
}

// sharedClient is one for all subtests of a test.
func sharedClient(t *testing.T) redis.UniversalClient {
	t.Helper()
	return redistest.Standalone(t).Client(t)
}
