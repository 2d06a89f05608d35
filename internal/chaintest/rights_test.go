package chaintest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/lockmw/idempotency"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// lines is a log that may be written and read at once.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// A right that the user of Redis lacks is no outage to sit out and no empty
// answer: every package says so in its log, whichever of the commands that it
// uses is forbidden, also where a script calls it.
func TestAMissingRightIsSaid(t *testing.T) {
	ctx := context.Background()
	for name, start := range map[string]func(rdb redis.UniversalClient, log *slog.Logger) (use func()){
		"ratelimit": func(rdb redis.UniversalClient, log *slog.Logger) func() {
			l := must(ratelimit.New(rdb, redis_rate.PerMinute(1000), ratelimit.WithLogger(log)))
			return func() { _, _ = l.Allow(ctx, "k") }
		},
		"ratelimit, an engine": func(rdb redis.UniversalClient, log *slog.Logger) func() {
			l := must(ratelimit.New(nil, redis_rate.PerMinute(1000), ratelimit.WithLogger(log), ratelimit.WithEngine(redis_rate.NewLimiter(rdb))))
			return func() { _, _ = l.Allow(ctx, "k") }
		},
		"ratelimit, several": func(rdb redis.UniversalClient, log *slog.Logger) func() {
			l := must(ratelimit.New(rdb, redis_rate.Limit{}, ratelimit.WithLogger(log), ratelimit.WithLimits(
				ratelimit.Limit{Limit: redis_rate.PerMinute(1000), Name: "b"}, ratelimit.Window(1000, time.Minute), ratelimit.Concurrency(5))))
			return func() {
				if d, leave, _ := l.Enter(ctx, "k", 1); d.Allowed {
					leave()
				}
			}
		},
		"session": func(rdb redis.UniversalClient, log *slog.Logger) func() {
			m := must(session.New(rdb, session.WithLogger(log)))
			a := &app{h: m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if m.User(r.Context()) == "" {
					_ = m.Login(r.Context(), "user", "", "")
				}
				m.Put(r.Context(), "n", m.GetInt(r.Context(), "n")+1)
			}))}
			return func() { a.get(); _, _ = m.Sessions(ctx, "user") }
		},
		"cache": func(rdb redis.UniversalClient, log *slog.Logger) func() {
			c := must(cache.New(rdb, cache.WithLogger(log)))
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Vary", "Accept-Language")
			}))
			return func() {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
				_ = c.Purge(ctx, "http://example.com/")
			}
		},
		"lockmw": func(rdb redis.UniversalClient, log *slog.Logger) func() {
			l := must(lockmw.New(rdb, lockmw.WithLogger(log)))
			return func() {
				if k, err := l.TryAcquire(ctx, "k"); err == nil {
					_ = k.Release(ctx)
				}
			}
		},
		"cronlock": func(rdb redis.UniversalClient, log *slog.Logger) func() {
			r := must(cronlock.New(rdb, cronlock.WithLogger(log), cronlock.WithMinGap(time.Millisecond)))
			job := must(r.Job("job", func(context.Context) error { return nil }))
			return func() {
				c, cancel := context.WithCancel(ctx)
				time.AfterFunc(50*time.Millisecond, func() { cancel(); closed(r) }) // the end is reported until it is heard
				_, _ = job.Run(c, time.Time{})
			}
		},
		"idempotency": func(rdb redis.UniversalClient, log *slog.Logger) func() {
			k := must(idempotency.New(must(lockmw.New(rdb)), rdb, func(*http.Request) (string, error) { return "user", nil }, idempotency.WithLogger(log)))
			return func() {
				if run, _, _ := k.Begin(ctx, idempotency.Operation{Scope: "user", Name: "pay", Key: "k"}); run != nil {
					_ = run.Forget()
					run.Release()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.NewServer(t)
			direct := server.Client(t)
			opts := server.Options()
			opts.Username, opts.Password, opts.DisableIdentity = "u", "secret", true
			run := func(rule string, ready func(log *lines) bool) *lines {
				if err := direct.Do(ctx, "acl", "setuser", "u", "reset", "on", ">secret", "allkeys", "allchannels", "+@all", rule).Err(); err != nil {
					t.Fatal(err)
				}
				rdb := redis.NewClient(opts)
				defer rdb.Close()
				log := &lines{}
				use := start(rdb, slog.New(slog.NewTextHandler(log, nil)))
				redistest.Eventually(t, Patience, func() bool { use(); return ready(log) }, "%s: %s is forbidden, and the log does not say so", name, rule)
				return log
			}
			n := 0
			run("+@all", func(*lines) bool { n++; return n > 2 })
			used, err := direct.Info(ctx, "commandstats").Result()
			if err != nil {
				t.Fatal(err)
			}
			tried := 0
			for line := range strings.Lines(used) {
				command, _, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
				switch {
				case !strings.HasPrefix(line, "cmdstat_"), strings.Contains(command, "|"):
					continue
				case command == "hello", command == "auth", command == "ping", command == "info", command == "flushdb", command == "select":
					continue
				case command == "publish", command == "subscribe": // who waits polls, see docs/locks.md
					continue
				case name == "idempotency" && command != "hmget": // the rest is the lock's too, whose log is another
					continue
				}
				direct.FlushDB(ctx)
				direct.ScriptFlush(ctx)
				run("-"+command, func(log *lines) bool { return log.has("the redis user lacks a right") })
				tried++
			}
			if tried == 0 {
				t.Error("no command was tried")
			}
			// Nor is any other refusal silent that lasts.
			if name == "idempotency" { // which begins with the lock's
				return
			}
			direct.FlushDB(ctx)
			if name != "ratelimit, several" { // whose script frees memory first, so that Redis lets it go on
				direct.ConfigSet(ctx, "maxmemory", "1")
				run("+@all", func(log *lines) bool { return log.has("redis refuses a call") && log.has("OOM") })
				direct.ConfigSet(ctx, "maxmemory", "0")
			}
			direct.Do(ctx, "replicaof", "127.0.0.1", "1")
			run("+@all", func(log *lines) bool { return log.has("redis refuses a call") && log.has("READONLY") })
		})
	}
}

func closed(r *cronlock.Runner) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.Close(ctx)
}
