package docs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/lockmw/idempotency"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// Every key that the middlewares create with their defaults is of a form that
// docs/redis-keys.md lists, with the type it says, and has a TTL.
func TestKeysAreTheDocumentedOnes(t *testing.T) {
	doc, err := os.ReadFile("docs/redis-keys.md")
	if err != nil {
		t.Fatal(err)
	}
	types := map[*regexp.Regexp]string{}
	row := regexp.MustCompile("(?m)^\\| `([a-z:]+:v[12]:[^`]+)` \\| ([a-z ]+) \\|")
	for _, m := range row.FindAllStringSubmatch(string(doc), -1) {
		form := regexp.QuoteMeta(m[1])
		for placeholder, pattern := range map[string]string{
			"<name>": `[A-Za-z0-9._-]+`, "<hash>": `[0-9a-f]{32}`, "<token hash>": `[A-Za-z0-9_-]{43}`,
			"<bucket>": `[0-9]+-per-[0-9a-z.-]+`, "<window>": `[0-9]+-in-[0-9a-z.]+`, "<places>": `[0-9]+-at-once`,
			"<buckets>": `1`, "<n>": `\d+`, "<variant>": `[0-9a-f.]+`,
			"<id>": `[A-Z2-7]{26}`, "<class>": `[cn]`, "<session key>": `session:v1:__Host-session:[A-Za-z0-9_-]{43}`,
		} {
			form = strings.ReplaceAll(form, placeholder, pattern)
		}
		types[regexp.MustCompile("^"+form+"$")] = strings.Replace(m[2], "sorted set", "zset", 1)
	}
	if len(types) != 27 {
		t.Fatalf("the document lists %d keys", len(types))
	}

	server := redistest.NewServer(t)
	rdb := server.Client(t)
	limiter, e1 := ratelimit.New(rdb, redis_rate.PerMinute(10), ratelimit.WithLimits(ratelimit.Window(100, time.Minute), ratelimit.Concurrency(5)))
	for _, limit := range []ratelimit.Limit{ratelimit.PerMinute(10), ratelimit.Window(100, time.Minute), ratelimit.Concurrency(5)} { // each in a key of its own
		alone, err := ratelimit.New(rdb, limit)
		if err != nil {
			t.Fatal(err)
		}
		_, leave, err := alone.Enter(t.Context(), "203.0.113.7", 1)
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	sessions, e2 := session.New(rdb)
	responses, e3 := cache.New(rdb, cache.WithTimeouts(5*time.Second, 5*time.Second))
	locks, e4 := lockmw.New(rdb, lockmw.WithKey(func(r *http.Request) (string, error) { return "}{" + r.URL.Path, nil }))
	confirmed, e5 := session.New(rdb, session.WithWaitReplicas(1, time.Millisecond))
	for _, err := range []error{e1, e2, e3, e4, e5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	defer locks.Close(context.Background())
	others, err := lockmw.New(rdb) // in another process
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close(context.Background())
	voters, err := lockmw.NewRedlock([]lockmw.Client{rdb, redistest.NewServer(t).Client(t), redistest.NewServer(t).Client(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer voters.Close(context.Background())
	if err := voters.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	permits, err := lockmw.New(rdb, lockmw.WithPermits(2))
	if err != nil {
		t.Fatal(err)
	}
	defer permits.Close(context.Background())
	if k, err := permits.Acquire(t.Context(), "permits"); err != nil {
		t.Fatal(err)
	} else {
		defer k.Release(context.Background())
	}
	keeper, err := idempotency.New(locks, rdb, func(*http.Request) (string, error) { return "ann", nil })
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close(context.Background())
	once := httptest.NewRequest("POST", "/pay", strings.NewReader("1 EUR"))
	once.Header.Set("Idempotency-Key", `"}{"`)
	keeper.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "paid") })).ServeHTTP(httptest.NewRecorder(), once)
	h := limiter.Handler(sessions.Handler(responses.Handler(locks.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Login(r.Context(), "alice", "", ""); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := others.Acquire(ctx, "}{"+r.URL.Path); err == nil { // a waiter in the queue
			t.Error("acquired twice")
		}
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Vary", "Accept")
		fmt.Fprint(w, strings.Repeat("page", 20_000)) // more than an entry holds itself
	})))))
	found := map[string]bool{}
	scan := func() {
		keys, err := rdb.Keys(t.Context(), "*").Result()
		if err != nil {
			t.Error(err)
		}
		for _, key := range keys {
			pipe := rdb.TxPipeline() // at one moment: keys come and go meanwhile
			kindCmd, ttlCmd := pipe.Type(t.Context(), key), pipe.PTTL(t.Context(), key)
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Error(err)
			}
			kind, ttl := kindCmd.Val(), ttlCmd.Val()
			if kind == "none" {
				continue // gone since KEYS
			}
			known := false
			for form, want := range types {
				if form.MatchString(key) {
					known = true
					found[form.String()] = true
					if kind != want || ttl <= 0 {
						t.Errorf("%s: %s with TTL %v, want %s with one", key, kind, ttl, want)
					}
				}
			}
			if !known {
				t.Errorf("%s is not in docs/redis-keys.md", key)
			}
		}
	}
	stop, scanned := make(chan struct{}), make(chan struct{})
	go func() { // the queue is there only while somebody waits
		defer close(scanned)
		for {
			select {
			case <-stop:
				return
			default:
				scan()
			}
		}
	}()
	first := httptest.NewRecorder()
	h.ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/{x}", nil))
	rotates := httptest.NewRequest(http.MethodGet, "/", nil)
	rotates.Header.Set("Cookie", strings.SplitN(first.Header().Get("Set-Cookie"), ";", 2)[0])
	sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := sessions.RenewToken(r.Context()); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(httptest.NewRecorder(), rotates)
	if err := responses.Purge(t.Context(), "http://example.com/{x}"); err != nil {
		t.Error(err)
	}
	var refreshed atomic.Int32
	odd := responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/private":
			w.Header().Set("Cache-Control", "private")
		case "/large":
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, strings.Repeat("x", 9<<20))
		case "/stale":
			if refreshed.Add(1) > 1 { // which leaves its lease for a second
				w.WriteHeader(http.StatusInternalServerError)
			}
			w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		}
		fmt.Fprint(w, "page")
	}))
	for _, path := range []string{"/private", "/large", "/stale", "/stale"} {
		odd.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	if n, err := sessions.RevokeAll(t.Context(), "bob"); n != 0 || err != nil {
		t.Error(n, err)
	}
	confirmed.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := confirmed.Login(r.Context(), "carol", "", ""); err != nil {
			t.Error(err)
		}
		if _, _, err := confirmed.Commit(r.Context()); err != nil {
			t.Error(err)
		}
		if err := confirmed.Destroy(r.Context()); !errors.Is(err, session.ErrUnconfirmed) {
			t.Errorf("got %v, want ErrUnconfirmed", err)
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	jobs, err := cronlock.New(rdb, cronlock.WithTakeover(true))
	if err != nil {
		t.Fatal(err)
	}
	tick, watches := time.Now(), sync.WaitGroup{}
	job, err := jobs.Job("report", func(context.Context) error {
		watches.Go(func() { // another instance that watches
			if o, err := watcher(t, rdb).Run(context.Background(), tick); o != "already" || err != nil {
				t.Errorf("the watcher: %s, %v", o, err)
			}
		})
		redistest.Eventually(t, 10*time.Second, func() bool { return len(rdb.Keys(context.Background(), "cron:*:w").Val()) == 1 }, "nobody watches")
		<-time.After(100 * time.Millisecond) // for the scan
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := job.Run(t.Context(), tick); o != cronlock.Ran || err != nil {
		t.Errorf("the job: %s, %v", o, err)
	}
	watches.Wait()
	close(stop)
	<-scanned
	scan()
	if len(found) != len(types) {
		t.Errorf("%d of the %d documented keys were seen: %v", len(found), len(types), found)
	}
}

func watcher(t *testing.T, rdb cronlock.Client) *cronlock.Job {
	r, err := cronlock.New(rdb, cronlock.WithTakeover(true), cronlock.WithTTL(time.Second), cronlock.WithTimeout(400*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	j, err := r.Job("report", func(context.Context) error { return errors.New("ran twice") })
	if err != nil {
		t.Fatal(err)
	}
	return j
}
