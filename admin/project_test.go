package admin_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/lockmw/idempotency"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// trail collects events.
type trail struct {
	mu  sync.Mutex
	all []admin.Event
}

func (tr *trail) add(_ context.Context, e admin.Event) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.all = append(tr.all, e)
}

// last is the one event since the last call.
func (tr *trail) last(t *testing.T, action string) admin.Event {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.all) != 1 || tr.all[0].Action != action || tr.all[0].User != "ann" || tr.all[0].Time.IsZero() {
		t.Errorf("the audit hook was told %v", tr.all)
		return admin.Event{}
	}
	e := tr.all[0]
	tr.all = nil
	return e
}

var whatField = regexp.MustCompile(`name="what" value="([^"]+)"`)

// confirm opens the link of a page, which changes nothing, and sends its form.
func (b *browser) confirm(page string) {
	b.t.Helper()
	m := whatField.FindStringSubmatch(b.see(page, `method="post" action="act"`))
	if m == nil {
		b.t.Fatalf("%s has no form", page)
	}
	if status, body, _ := b.post("act", "what", m[1]); status != 400 || !strings.Contains(body, "not confirmed") {
		b.t.Errorf("without a confirmation: %d %s", status, text(body))
	}
	status, body, h := b.post("act", "what", m[1], "confirmed", "yes")
	if status != 303 {
		b.t.Fatalf("%s is answered %d %s", page, status, text(body))
	}
	b.see(h.Get("Location"), `role="status"`)
}

// linkTo finds the address of a confirmation on a page.
func linkTo(t *testing.T, body, action, also string) string {
	t.Helper()
	for _, m := range regexp.MustCompile(`href="(confirm\?[^"]+)"`).FindAllStringSubmatch(body, -1) {
		to := html.UnescapeString(m[1])
		if q, _ := url.ParseQuery(strings.TrimPrefix(to, "confirm?")); q.Get("action") == action && strings.Contains(to, also) {
			return to
		}
	}
	t.Fatalf("no link to %s %s in %s", action, also, text(body))
	return ""
}

func TestABlockedClientIsSeenAndUnblocked(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix, ctx, events := redistest.Prefix(t), t.Context(), &trail{}
		limiter, err := ratelimit.New(g.Client(t), redis_rate.PerMinute(10), ratelimit.WithKeyPrefix(prefix), ratelimit.WithDenyCache(0, 0),
			ratelimit.WithLimits(ratelimit.Window(100, time.Minute), ratelimit.Concurrency(5)), ratelimit.WithTimeout(patience))
		if err != nil {
			t.Fatal(err)
		}
		b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithLimiter("default", "api", limiter), admin.WithAudit(events.add))
		enter := func(client string, n int) bool {
			t.Helper()
			d, leave, err := limiter.Enter(ctx, client, n)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(leave)
			return d.Allowed
		}
		enter("203.0.113.7", 4)
		enter("203.0.113.8", 3)
		b.see("limits", "counting", "10-per-60s", "100-in-60s", "5-at-once", `<td class="n">3.`, `<td class="n">4.0`, `<td class="n">1.0`)
		b.see("limits"+q("show", "blocked"), "Nobody is blocked")

		b.confirm("confirm" + q("action", "block", "conn", "default", "label", "api", "client", "203.0.113.7", "for", "15m"))
		if e := events.last(t, "block"); e.Key != "203.0.113.7" || e.Detail != "label api, for 15m" || e.Err != nil {
			t.Errorf("got %+v", e)
		}
		if enter("203.0.113.7", 1) {
			t.Error("the client is not blocked")
		}
		body := b.see("limits"+q("show", "blocked"), "blocked", "in 14 min")
		key := limiter.Keys("203.0.113.7")[0]
		to := linkTo(t, body, "unblock", url.QueryEscape(key))
		b.see("limits"+q("client", "203.0.113.7"), "blocked")
		b.see("key"+q("key", key), "10-per-60s", "100-in-60s", "5-at-once", "Blocked until") // all policies of the key
		b.see("limits"+q("client", "203.0.113.99"), "Nothing is counted")
		b.confirm(to)
		if e := events.last(t, "unblock"); e.Key != key || e.Err != nil {
			t.Errorf("got %+v", e)
		}
		if !enter("203.0.113.7", 1) {
			t.Error("the client is still blocked")
		}
		if err := limiter.Block(ctx, "203.0.113.7", time.Minute); err != nil {
			t.Fatal(err)
		}
		b.confirm("confirm" + q("action", "reset", "conn", "default", "label", "api", "client", "203.0.113.7"))
		if !enter("203.0.113.7", 1) {
			t.Error("the client is still blocked")
		}
		// A block that only a limit of concurrency keeps is seen as well.
		alone, err := ratelimit.New(g.Client(t), redis_rate.Limit{}, ratelimit.WithKeyPrefix(redistest.Prefix(t)), ratelimit.WithLimits(ratelimit.Concurrency(7)), ratelimit.WithTimeout(patience))
		if err != nil {
			t.Fatal(err)
		}
		_, leave, err := alone.Enter(ctx, "203.0.113.7", 1)
		if err != nil || alone.Block(ctx, "203.0.113.7", 15*time.Minute) != nil {
			t.Fatal(err)
		}
		defer leave()
		b = open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithLimiter("default", "runs", alone))
		b.see("limits"+q("show", "blocked"), "7-at-once", "blocked", "in 14 min", `<td class="n">1.0`)
	})
}

// hashOf is how middlewares name what clients choose.
func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

func keyOf(t *testing.T, to string) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("key")
}

func TestSessionsAreCountedListedAndRevoked(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix, events := redistest.Prefix(t), &trail{}
		sessions, err := session.New(g.Client(t), session.WithKeyPrefix(prefix), session.WithCookie(session.Cookie{Insecure: true}), session.WithTimeouts(patience, patience),
			session.WithEncryption(make([]byte, 32)))
		if err != nil {
			t.Fatal(err)
		}
		app := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sessions.Put(r.Context(), "card", "hunter2")
			if err := sessions.Login(r.Context(), r.URL.Query().Get("user"), "203.0.113.7", "<b>Browser</b>"); err != nil {
				t.Error(err)
			}
		}))
		for _, user := range []string{"ann", "ann", "bob", "<i>eve</i>"} {
			app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?user="+url.QueryEscape(user), nil))
		}
		set := setOf(t, map[string]string{"default": g.URL})
		b := open(t, set, admin.WithSessions("default", "shop", sessions), admin.WithAudit(events.add))
		body := b.see("sessions", `<b class="num">4</b>`, "ann", "bob", "203.0.113.7", "&lt;b&gt;Browser", "&lt;i&gt;eve")
		first := regexp.MustCompile(`href="(key\?[^"]+)"`).FindStringSubmatch(body)
		detail := b.see(html.UnescapeString(first[1]), "This is a session", "not shown")
		if strings.Contains(body+detail, "hunter2") {
			t.Error("a value of a session is shown")
		}
		shown := open(t, set, admin.WithSessions("default", "shop", sessions), admin.WithSessionValues(true))
		shown.see(html.UnescapeString(first[1]), "card", "hunter2")

		body = b.see("sessions"+q("user", "ann"), "Revoke all")
		b.confirm(linkTo(t, body, "revoke", "user=ann"))
		events.last(t, "revoke")
		if devices, _ := sessions.Sessions(t.Context(), "ann"); len(devices) != 1 {
			t.Errorf("ann has %d sessions", len(devices))
		}
		b.confirm(linkTo(t, b.see("sessions"+q("user", "ann")), "revoke-all", "ann"))
		events.last(t, "revoke-all")
		b.see("sessions"+q("user", "ann"), "no session")
		b.confirm(linkTo(t, b.see("sessions", `<b class="num">2</b>`), "delete", ""))
		if e := events.last(t, "delete"); !strings.HasPrefix(e.Key, prefix) {
			t.Errorf("got %+v", e)
		}
		b.see("sessions", `<b class="num">1</b>`)
	})
}

func TestTheCacheIsShownExplainedAndPurged(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix, events := redistest.Prefix(t), &trail{}
		responses, err := cache.New(g.Client(t), cache.WithKeyPrefix(prefix), cache.WithTimeouts(patience, patience), cache.WithEarlyRefresh(0))
		if err != nil {
			t.Fatal(err)
		}
		redistest.CloseAfter(t, patience, responses)
		app := responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=600")
			w.Header().Set("Surrogate-Key", "shelf")
			w.Header().Set("Vary", "Accept-Language")
			w.Header().Set("X-Hostile", "<script>alert(1)</script>")
			fmt.Fprint(w, strings.Repeat("body ", 100))
		}))
		fill := func(path, language string) {
			r := httptest.NewRequest("GET", "http://shop.example"+path, nil)
			r.Header.Set("Accept-Language", language)
			app.ServeHTTP(httptest.NewRecorder(), r)
		}
		fill("/products/7?a=b", "de")
		fill("/products/7?a=b", "en")
		fill("/products/8", "en")
		set := setOf(t, map[string]string{"default": g.URL})
		b := open(t, set, admin.WithCache("default", "pages", responses), admin.WithAudit(events.add))
		body := b.see("cache", "http://shop.example/products/7?a=b", "http://shop.example/products/8", "fresh", "500 B", "shelf")
		if n := strings.Count(body, `<span class="dot good">fresh`); n != 3 {
			t.Errorf("%d fresh entries", n)
		}
		first := regexp.MustCompile(`<td class="mono key"><a href="(key\?[^"]+)"`).FindStringSubmatch(body)
		harmless(t, "an entry", b.see(html.UnescapeString(first[1]), "This is a cached response", "X-Hostile"))
		b.see("cache"+q("url", "http://shop.example/products/8", "fields", "Accept-Language: en"), "hit", "Accept-Language</td>", "fresh for 9 min")
		b.see("cache"+q("url", "http://shop.example/nothing"), "no hit", "none that counts")
		for _, wrong := range []string{q("url", "nonsense"), q("url", "http://h/", "fields", "no field")} {
			if status, _ := b.get("cache" + wrong); status != 400 {
				t.Errorf("%s is answered %d", wrong, status)
			}
		}
		b.confirm(linkTo(t, body, "purge", "products%2F8"))
		if e := events.last(t, "purge"); e.Key != "http://shop.example/products/8" || e.Detail != "label pages" {
			t.Errorf("got %+v", e)
		}
		if x, _, _ := responses.Lookup(t.Context(), mustRequest(t, "http://shop.example/products/8", "en")); x != nil {
			t.Errorf("it is still there: %v", x)
		}
		b.see("cache", `<span class="dot">purged`)
		b.confirm("confirm" + q("action", "purge-tag", "conn", "default", "label", "pages", "tag", "shelf", "soft", "yes"))
		events.last(t, "purge-tag")
		if n := strings.Count(b.see("cache"), `<span class="dot warn">stale`); n != 2 {
			t.Errorf("%d stale entries", n)
		}
		b.confirm("confirm" + q("action", "purge-all", "conn", "default", "label", "pages"))
		events.last(t, "purge-all")
		if n := strings.Count(b.see("cache"), `<span class="dot">purged`); n != 3 {
			t.Errorf("%d purged entries", n)
		}
	})
}

func mustRequest(t *testing.T, url, language string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Language", language)
	return r
}

func TestJobsAreShown(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		runner, err := cronlock.New(g.Client(t), cronlock.WithKeyPrefix(prefix), cronlock.WithTimeout(3*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		redistest.CloseAfter(t, patience, runner)
		well, _ := runner.Job("report", func(context.Context) error { return nil })
		broken, _ := runner.Job("<b>sweep</b>", func(context.Context) error { return errors.New("<i>disk full</i>") })
		now := time.Now()
		for _, j := range []*cronlock.Job{well, broken} {
			if o, _ := j.Run(t.Context(), now); o != cronlock.Ran {
				t.Fatalf("it is %s", o)
			}
		}
		b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithJobs("default", well, broken))
		harmless(t, "jobs", b.see("cron", "report", "done", "failed", "&lt;i&gt;disk full", "&lt;b&gt;sweep"))
		b.see("key"+q("key", well.Key()), "This is a job", "report")

		// One that is under way.
		begun, end, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
		long, err := runner.Job("long", func(context.Context) error { close(begun); <-end; return nil })
		if err != nil {
			t.Fatal(err)
		}
		go func() { defer close(over); _, _ = long.Run(t.Context(), now) }()
		<-begun
		b.see("cron", "running")
		close(end)
		<-over
		if body := b.see("cron"); strings.Contains(body, "running") {
			t.Errorf("it still runs: %s", text(body))
		}
	})
}

// A request with an Idempotency-Key is known by its state; whose it is and what
// was answered stays where it is.
func TestARequestThatRunsOnceIsNotShown(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, events := g.Client(t), &trail{}
		prefix := redistest.Prefix(t)
		keeper, err := idempotency.New(lockerOf(t, rdb, prefix), rdb, idempotency.DangerouslyUnscoped, idempotency.WithName(prefix), idempotency.WithTimeout(5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		redistest.CloseAfter(t, patience, keeper)
		runs := 0
		app := keeper.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			runs++
			fmt.Fprint(w, "hunter2")
		}))
		pay := func() {
			r := httptest.NewRequest("POST", "/pay", strings.NewReader("5"))
			r.Header.Set("Idempotency-Key", `"a"`)
			app.ServeHTTP(httptest.NewRecorder(), r)
		}
		pay()
		b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithAudit(events.add))
		name := regexp.MustCompile(`href="(key\?[^"]+)"`).FindStringSubmatch(b.see("keys" + q("match", "idempotency:v1:"+prefix+":*")))
		if name == nil {
			t.Fatal("the record is not found")
		}
		body := b.see(html.UnescapeString(name[1]), "request that runs once", "done, and the response is kept", "It is not shown")
		if strings.Contains(body, "hunter2") {
			t.Error("the answer is shown")
		}
		pay()
		b.see(linkTo(t, body, "delete", ""), "the request runs again")
		b.confirm(linkTo(t, body, "delete", ""))
		if pay(); runs != 2 {
			t.Errorf("it ran %d times", runs)
		}
	})
}
