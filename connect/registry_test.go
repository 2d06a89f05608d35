package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

func closeLater(t *testing.T, c interface{ Close(context.Context) error }) {
	t.Helper()
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
}

// What the variables of a prefix make, and every mistake in them.
func TestEnvironments(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ []string
		conns   map[string]string // by name, as they print
		wrong   []string
	}{
		"one":            {[]string{"R_URL=redis://h"}, map[string]string{"default": "redis://h:6379/0"}, nil},
		"two":            {[]string{"R_URL=redis://h", "R_CACHE_URL=redis+cluster://c"}, map[string]string{"default": "redis://h:6379/0", "cache": "redis+cluster://c:6379"}, nil},
		"a longer name":  {[]string{"R_EU_URL=redis://a", "R_EU_CACHE_URL=redis://b", "R_EU_CACHE_PREFIX=p"}, map[string]string{"eu": "redis://a:6379/0", "eu_cache": "redis://b:6379/0"}, nil},
		"overrides":      {[]string{"R_URL=redis://ann:x@h", "R_USERNAME=bob", "R_PASSWORD=y", "R_POOL_SIZE=7"}, map[string]string{"default": "redis://bob:redacted@h:6379/0"}, nil},
		"a file":         {[]string{"R_URL=redis://h", "R_PASSWORD_FILE=" + secret}, map[string]string{"default": "redis://:redacted@h:6379/0"}, nil},
		"empty is unset": {[]string{"R_URL=redis://h", "R_CACHE_URL=", "R_POOL_SIZE="}, map[string]string{"default": "redis://h:6379/0"}, nil},
		"others' own":    {[]string{"R_URL=redis://h", "R_VERSION=7", "RX_URL=redis://x", "OTHER=1", "R"}, map[string]string{"default": "redis://h:6379/0"}, nil},
		"aliases":        {[]string{"R_URL=redis://h", "R_ALIASES=sessions=default, locks=default"}, map[string]string{"default": "redis://h:6379/0"}, nil},

		"nothing":              {nil, nil, []string{"R_URL: is not set"}},
		"only a password":      {[]string{"R_PASSWORD=x"}, nil, []string{"R_URL: is not set"}},
		"default without URL":  {[]string{"R_CACHE_URL=redis://c", "R_PASSWORD=x"}, nil, []string{"R_PASSWORD: is for the connection default, but R_URL is not set"}},
		"two passwords":        {[]string{"R_URL=redis://h", "R_PASSWORD=hunter2", "R_PASSWORD_FILE=" + secret}, nil, []string{"default: R_PASSWORD_FILE: is given beside R_PASSWORD"}},
		"a mistyped suffix":    {[]string{"R_URL=redis://h", "R_PASWORD=hunter2"}, nil, []string{"default: R_PASWORD: is unknown: did you mean R_PASSWORD?"}},
		"an unknown suffix":    {[]string{"R_CACHE_URL=redis://c", "R_CACHE_COLOR=x"}, nil, []string{"cache: R_CACHE_COLOR: is unknown"}},
		"no number":            {[]string{"R_URL=redis://h", "R_POOL_SIZE=many"}, nil, []string{"default: R_POOL_SIZE: is not a number"}},
		"no file":              {[]string{"R_URL=redis://h", "R_PASSWORD_FILE=/no/such"}, nil, []string{"default: R_PASSWORD_FILE: the file cannot be read"}},
		"a wrong URL":          {[]string{"R_URL=nonsense://hunter2@h"}, nil, []string{"default: scheme: is unknown"}},
		"every one of several": {[]string{"R_URL=nope://", "R_CACHE_URL=redis://c?x=1", "R_ALIASES=a"}, nil, []string{"default: scheme", "cache: query", "R_ALIASES: is not a list"}},
		"an unknown target":    {[]string{"R_URL=redis://h", "R_ALIASES=sessions=defualr"}, nil, []string{`no connection "defualr"`, `did you mean "default"?`}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := fromEnv("R", c.environ, nil)
			if c.wrong != nil {
				for _, want := range c.wrong {
					if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
						t.Errorf("got %v, want %q", err, want)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			closeLater(t, set)
			got := map[string]string{}
			for name, conn := range set.All() {
				got[name] = conn.config.String()
			}
			if fmt.Sprint(got) != fmt.Sprint(c.conns) {
				t.Errorf("got %v, want %v", got, c.conns)
			}
		})
	}
}

func newSet(t *testing.T, urls map[string]string, opts ...Option) *Set {
	t.Helper()
	set := NewSet(opts...)
	closeLater(t, set)
	for name, url := range urls {
		if err := set.Add(name, url); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

func TestNamesInASetAreUnique(t *testing.T) {
	set := newSet(t, map[string]string{"a": "redis://127.0.0.1:1"})
	if err := set.Alias("b", "a"); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		`connect: a: name: is already in use`:    set.Add("a", "redis://h"),
		`connect: b: name: is already in use`:    set.Add("b", "redis://h"),
		`connect: name: is empty`:                set.Add("", "redis://h"),
		`connect: a: alias: is already in use`:   set.Alias("a", "b"),
		`connect: b: alias: is already in use`:   set.Alias("b", "a"),
		`connect: alias: is empty`:               set.Alias("", "a"),
		`no connection "x", known are: a, b`:     set.Alias("c", "x"),
		`connect: d: scheme: is missing`:         set.Add("d", ""),
		`connect: f: pool_size: is not within 0`: set.Add("f", "redis://h", WithPool(-1, 0)),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want %q", err, what)
		}
	}
	if got := set.Names(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("what was refused is in the set: %v", got)
	}
	// An alias of an alias leads to the connection.
	if err := set.Alias("c", "b"); err != nil {
		t.Fatal(err)
	}
	first, err1 := set.Get("a")
	last, err2 := set.Get("c")
	if first != last || errors.Join(err1, err2) != nil || last.Name() != "a" {
		t.Errorf("got %v and %v", first, last)
	}
}

// However many ask for a connection at once, it is made once.
func TestAConnectionIsMadeOnce(t *testing.T) {
	set := newSet(t, map[string]string{"a": "redis://127.0.0.1:1"})
	conns := make([]*Conn, 16)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { conns[i], _ = set.Get("a") })
	}
	wg.Wait()
	for _, c := range conns {
		if c == nil || c != conns[0] {
			t.Fatalf("got %v and %v", c, conns[0])
		}
	}
	if len(set.made) != 1 {
		t.Errorf("%d connections were made", len(set.made))
	}
}

func TestAllStopsWhenAsked(t *testing.T) {
	set := newSet(t, map[string]string{"a": "redis://127.0.0.1:1", "b": "redis://127.0.0.1:1", "c": "redis://127.0.0.1:1"})
	var names []string
	for name := range set.All() {
		if names = append(names, name); name == "b" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b"}) || len(set.made) != 2 {
		t.Errorf("got %v, %d made", names, len(set.made))
	}
	if got := set.String(); got != "connections: a, b, c" {
		t.Errorf("got %q", got)
	}
}

// stopped is an embedded server that notes when it is closed.
type stopped struct {
	name string
	when *[]string
	err  error
}

func (s stopped) Addr() string   { return "127.0.0.1:1" }
func (stopped) Password() string { return "hunter2" }

func (s stopped) Close() error {
	*s.when = append(*s.when, s.name)
	return s.err
}

// Connections are closed in the reverse order of their first use, each once, and
// all although one fails.
func TestASetClosesInReverse(t *testing.T) {
	var order []string
	set, failure := NewSet(), errors.New("it does not stop")
	for _, name := range []string{"a", "b", "c"} {
		server := stopped{name: name, when: &order}
		if name == "b" {
			server.err = failure
		}
		if err := set.Add(name, "embedded://", WithEmbedded(func() (EmbeddedServer, error) { return server, nil })); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"c", "a", "b", "a"} {
		if _, err := set.Get(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Close(t.Context()); !errors.Is(err, failure) {
		t.Errorf("got %v, want the failure", err)
	}
	if !slices.Equal(order, []string{"b", "a", "c"}) {
		t.Errorf("closed in the order %v", order)
	}
	if err := set.Add("d", "redis://h"); err == nil || !strings.Contains(err.Error(), "set: is closed") {
		t.Errorf("Add after Close: %v", err)
	}
	if _, err := set.Get("a"); !errors.Is(err, ErrClosed) {
		t.Errorf("Get after Close: %v", err)
	}
	for range set.All() {
		t.Error("All yields a connection after Close")
	}
	if h := set.Health(t.Context()); len(h) != 3 || h["a"].OK || !strings.Contains(h["a"].Error, "closed") {
		t.Errorf("Health after Close: %+v", h)
	}
	if err := set.Ready(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Ready after Close: %v", err)
	}
}

// The user and password of an embedded server are its own.
func TestAnEmbeddedServerHasItsOwnPassword(t *testing.T) {
	var order []string
	c, err := New(Config{Mode: Embedded}, WithEmbedded(func() (EmbeddedServer, error) { return stopped{when: &order}, nil }))
	if err != nil {
		t.Fatal(err)
	}
	if o := c.client.(*redis.Client).Options(); o.Addr != "127.0.0.1:1" || o.Username != "" || o.Password != "hunter2" {
		t.Errorf("got %+v", o)
	}
	if s := fmt.Sprintf("%v %+v %#v", c, c, c.Info()); strings.Contains(s, "hunter2") {
		t.Errorf("the password is shown: %s", s)
	}
	if err := c.Close(t.Context()); err != nil || len(order) != 1 {
		t.Errorf("got %v, closed %d times", err, len(order))
	}
}

// Probes by method, and before, while and after a Redis is down.
func TestProbes(t *testing.T) {
	set := newSet(t, map[string]string{"default": "redis://127.0.0.1:1"}, WithTimeouts(Timeouts{Dial: 100 * time.Millisecond}))
	conn, err := set.Get("default")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		h    http.Handler
		code int
		body string
	}{
		"readiness":              {set.HealthHandler(), 503, `"status":"unavailable"`},
		"readiness of one":       {conn.HealthHandler(), 503, `"default":{"mode":"standalone","ok":false`},
		"readiness of no others": {set.HealthHandler("missing"), 503, `no connection \"missing\"`},
		"liveness":               {set.LivenessHandler(), 200, `{"status":"ok"}`},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
			w := httptest.NewRecorder()
			c.h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
			switch method {
			case "GET":
				if w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
					t.Errorf("%s: %d %s", name, w.Code, w.Body)
				}
				if h := w.Header(); h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s: %v", name, h)
				}
			case "HEAD":
				if w.Code != c.code || w.Body.Len() != 0 {
					t.Errorf("%s: HEAD %d %s", name, w.Code, w.Body)
				}
			default:
				if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
					t.Errorf("%s: %s %d, Allow %q", name, method, w.Code, w.Header().Get("Allow"))
				}
			}
		}
	}
	if err := set.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		h    http.Handler
		want string
	}{"readiness": {set.HealthHandler(), "closing"}, "of one": {conn.HealthHandler(), "closing"}, "liveness": {set.LivenessHandler(), "unavailable"}} {
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 503 || w.Body.String() != `{"status":"`+c.want+`"}`+"\n" {
			t.Errorf("%s after Close: %d %s", name, w.Code, w.Body)
		}
	}
}

// Keys can be left early, end with an error, and are escaped by the caller.
func TestKeysEndEarly(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c, err := Open(g.URL)
		if err != nil {
			t.Fatal(err)
		}
		closeLater(t, c)
		prefix := redistest.Prefix(t)
		for i := range 40 {
			if err := c.client.Set(t.Context(), fmt.Sprint(prefix, ":", i), 1, time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for _, err := range c.Keys(t.Context(), prefix+":*") {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 5 {
				break
			}
		}
		if n != 5 {
			t.Errorf("got %d keys", n)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		var last error
		for key, err := range c.Keys(gone, prefix+":*") {
			if last = err; key != "" {
				t.Errorf("got %q with a context that has ended", key)
			}
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("got %v", last)
		}
		masters := 0
		var mu sync.Mutex
		failure := errors.New("no")
		err = c.EachMaster(t.Context(), func(ctx context.Context, m *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			masters++
			return errors.Join(m.Ping(ctx).Err(), failure)
		})
		if want := map[string]int{"cluster": 3}[g.Name]; masters != max(want, 1) || !errors.Is(err, failure) {
			t.Errorf("%d masters, %v", masters, err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Keys(t.Context(), "*") {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
		if _, err := c.Nodes(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Nodes after Close: %v", err)
		}
	})
}
