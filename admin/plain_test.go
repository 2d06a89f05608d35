package admin_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// chain makes some of everything that middlewares keep, and lends it to a panel.
func chain(t *testing.T, g *redistest.Target) *browser {
	t.Helper()
	rdb, prefix, ctx := g.Client(t), redistest.Prefix(t), t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	limiter, err := ratelimit.New(rdb, redis_rate.PerMinute(10), ratelimit.WithKeyPrefix(prefix), ratelimit.WithTimeout(patience))
	must(err)
	must(limiter.Block(ctx, "203.0.113.7", time.Minute))
	sessions, err := session.New(rdb, session.WithKeyPrefix(prefix+"s"), session.WithCookie(session.Cookie{Insecure: true}), session.WithTimeouts(patience, patience))
	must(err)
	responses, err := cache.New(rdb, cache.WithKeyPrefix(prefix+"c"), cache.WithTimeouts(patience, patience))
	must(err)
	redistest.CloseAfter(t, patience, responses)
	sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		must(sessions.Login(r.Context(), "ann", "203.0.113.7", "Browser"))
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		fmt.Fprint(w, "page")
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://shop.example/", nil))
	locks := lockerOf(t, rdb, prefix+"l")
	hold(t, locks.Acquire, "order-7")
	runner, err := cronlock.New(rdb, cronlock.WithKeyPrefix(prefix+"j"), cronlock.WithTimeout(5*time.Second))
	must(err)
	redistest.CloseAfter(t, patience, runner)
	job, err := runner.Job("report", func(context.Context) error { return nil })
	must(err)
	_, err = job.Run(ctx, time.Now())
	must(err)
	for i := range 110 { // more than a page
		must(rdb.RPush(ctx, prefix+":list", i).Err())
		must(rdb.Set(ctx, fmt.Sprint(prefix, ":key:", i), i, time.Minute).Err())
	}
	return open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithLimiter("default", "api", limiter), admin.WithSessions("default", "shop", sessions),
		admin.WithCache("default", "pages", responses), admin.WithLocks("default", "orders", locks), admin.WithJobs("default", job))
}

var (
	hrefs   = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	forms   = regexp.MustCompile(`(?s)<form ([^>]*)>(.*?)</form>`)
	outputs = regexp.MustCompile(`(?s)data-chart="([^"]*)".*?<output>([^<]*)</output>`)
)

// Without JavaScript all of the panel can be read and used: every link is an
// address, every form is sent by a button, and nothing is left to a script.
func TestPagesAreReadWithoutJavaScript(t *testing.T) {
	// A server of its own, for all keys of the others' tests are too many links.
	b := chain(t, redistest.NewServer(t).Target())
	seen, kinds := map[string]bool{}, map[string]bool{}
	for todo := []string{""}; len(todo) > 0 && len(seen) < 400; todo = todo[1:] {
		page := todo[0]
		if seen[page] {
			continue
		}
		seen[page] = true
		name, _, _ := strings.Cut(page, "?")
		kinds[name] = true
		body := b.see(page)
		if strings.Contains(name, ".") { // of the assets
			continue
		}
		for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
			to, err := url.Parse(html.UnescapeString(m[1]))
			if err != nil || to.IsAbs() || to.Host != "" || strings.HasPrefix(to.Path, "/") || to.Path == "" {
				t.Errorf("%q leads to %q", page, m[1])
				continue
			}
			todo = append(todo, strings.TrimPrefix(to.String(), "./"))
		}
		rest := body
		for _, m := range forms.FindAllStringSubmatch(body, -1) {
			rest = strings.Replace(rest, m[0], "", 1)
			if !strings.Contains(m[1], `method="get"`) && !strings.Contains(m[1], `method="post"`) || !strings.Contains(m[1], `action="`) || !strings.Contains(m[2], "<button") {
				t.Errorf("%q has a form %q", page, m[0])
			}
		}
		for _, bad := range []string{"<button", "<input", "<select", "<template", "<dialog", "<canvas", "hidden>", `hidden=""`, "<script>", "onclick"} {
			if strings.Contains(rest, bad) {
				t.Errorf("%q has %s outside a form: %s", page, bad, text(rest))
			}
		}
		if n := strings.Count(body, "data-"); name != "node" && n > 0 {
			t.Errorf("%q leaves %d things to a script", page, n)
		}
		if strings.Count(body, "<script") != 1 {
			t.Errorf("%q has other scripts", page)
		}
		for _, m := range outputs.FindAllStringSubmatch(body, -1) {
			if strings.TrimSpace(m[2]) == "" || m[2] == "–" {
				t.Errorf("%q: the chart %s begins with %q", page, m[1], m[2])
			}
		}
	}
	for _, want := range []string{"", "connection", "node", "keys", "key", "limits", "sessions", "cache", "locks", "cron", "confirm", "admin.css", "admin.js", "icon.svg"} {
		if !kinds[want] {
			t.Errorf("no link leads to %q", want)
		}
	}
	paged := false
	for page := range seen {
		paged = paged || strings.Contains(page, "from=100")
	}
	if !paged || len(seen) >= 400 {
		t.Errorf("%d pages, the second of a list among them: %v", len(seen), paged)
	}
}

// A name of a megabyte is cut where it is shown, and its page, whose address it
// would be, cannot be opened.
func TestAVeryLongKey(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	long, fits := strings.Repeat("<b>", 350_000), "k"+strings.Repeat("é<", 640)
	rdb.Set(t.Context(), long, 1, 0)
	rdb.Set(t.Context(), fits, "value", 0)
	b := open(t, setOf(t, map[string]string{"default": server.URL()}))
	body := b.see("keys", "kéé"[:3], "&lt;b&gt;&lt;b&gt;")
	if len(body) > 20_000 || strings.Contains(body, "<b>") {
		t.Errorf("the page has %d bytes: %.3000s", len(body), body)
	}
	if links := strings.Count(body, `href="key?`); links != 1 {
		t.Errorf("%d keys can be opened", links)
	}
	b.see("key"+q("key", fits), "<pre>value</pre>", strings.Repeat("é&lt;", 640))
	if status, _ := b.get("key" + q("key", long[:3000])); status != 400 {
		t.Errorf("a name that is too long is answered %d", status)
	}
}
