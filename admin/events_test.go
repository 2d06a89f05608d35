package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Requests for a stream that get none.
func TestStreamsThatAreRejected(t *testing.T) {
	server := redistest.NewServer(t)
	set := setOf(t, map[string]string{"default": server.URL(), "away": "redis://127.0.0.1:1"})
	b := open(t, set, admin.WithTimeout(time.Second))
	none := open(t, set, admin.WithStreams(0, time.Second))
	stranger := open(t, set, admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return admin.Access{}, errors.New("who?") }))
	for name, c := range map[string]struct {
		b    *browser
		page string
		want int
	}{
		"no address":             {b, "events", 502},
		"an unknown address":     {b, "events" + q("addr", "169.254.169.254:80"), 502},
		"an unknown connection":  {b, "events" + q("conn", "nobody", "addr", server.Addr()), 404},
		"a Redis that is down":   {b, "events" + q("conn", "away", "addr", "127.0.0.1:2"), 502},
		"no streams at all":      {none, "events" + q("addr", server.Addr()), 503},
		"no right to see it":     {stranger, "events" + q("addr", server.Addr()), 403},
		"another connection's":   {b, "events" + q("conn", "away", "addr", server.Addr()), 502},
		"markup in the address":  {b, "events" + q("addr", "<script>"), 502},
		"a connection of markup": {b, "events" + q("conn", "<script>"), 404},
	} {
		status, body := c.b.get(c.page)
		if status != c.want || strings.Contains(body, "<script>") || strings.Contains(body, "who?") {
			t.Errorf("%s: %d %q, want %d", name, status, body, c.want)
		}
	}
	if n := strings.Count(server.Client(t).ClientList(t.Context()).Val(), "\n"); n > 3 {
		t.Errorf("%d connections are left", n)
	}
}

// HEAD says what GET would send, and sends none of it.
func TestHeadOfAStream(t *testing.T) {
	server := redistest.NewServer(t)
	b := open(t, setOf(t, map[string]string{"default": server.URL()}), admin.WithStreams(1, 100*time.Millisecond))
	for range 3 { // the place is given back each time
		w := httptest.NewRecorder()
		b.h.ServeHTTP(w, httptest.NewRequest("HEAD", "/admin/events"+q("addr", server.Addr()), nil))
		if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Type") != "text/event-stream" || w.Header().Get("X-Accel-Buffering") != "no" || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("got %d with %d bytes, %v", w.Code, w.Body.Len(), w.Header())
		}
	}
}

// subscribe opens a stream and returns its lines.
func subscribe(t *testing.T, h http.Handler, page string) *bufio.Scanner {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/admin/"+page, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		t.Fatalf("got %d", resp.StatusCode)
	}
	return bufio.NewScanner(resp.Body)
}

// A chart has a gap while its server hangs, and goes on behind it.
func TestAGapInAChart(t *testing.T) {
	server := redistest.NewServer(t)
	b := open(t, setOf(t, map[string]string{"default": server.URL()}), admin.WithStreams(1, 100*time.Millisecond), admin.WithTimeout(300*time.Millisecond))
	lines := subscribe(t, b.h, "events"+q("addr", server.Addr()))
	until := func(want string) string {
		t.Helper()
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), want) {
				return lines.Text()
			}
		}
		t.Fatalf("the stream ends without %q: %v", want, lines.Err())
		return ""
	}
	until("retry: 2000")
	until("data: {")
	server.Pause()
	until("event: down")
	server.Resume()
	var s map[string]any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(until("data: {"), "data: ")), &s); err != nil || s["memory"] == 0.0 {
		t.Errorf("got %v, %v", s, err)
	}
}

// Each sample is one of its server's: keys that expire, and hits, are counted there.
func TestSamplesAreThoseOfTheServer(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		set := setOf(t, map[string]string{"default": g.URL})
		b := open(t, set, admin.WithStreams(4, 100*time.Millisecond))
		for _, n := range nodes(t, set, "default") {
			if n.Role == "sentinel" {
				continue
			}
			lines := subscribe(t, b.h, "events"+q("addr", n.Addr))
			var s map[string]any
			for lines.Scan() {
				if data, ok := strings.CutPrefix(lines.Text(), "data: {"); ok {
					if err := json.Unmarshal([]byte("{"+data), &s); err != nil {
						t.Fatal(err)
					}
					break
				}
			}
			for _, name := range []string{"ops", "latency", "memory", "cpu", "clients", "hits", "evicted", "expired", "traffic", "lag"} {
				if _, ok := s[name]; !ok {
					t.Errorf("%s %s: a sample without %s: %v", n.Role, n.Addr, name, s)
				}
			}
			if memory, _ := s["memory"].(float64); memory < 100_000 {
				t.Errorf("%s: memory %v", n.Addr, s["memory"])
			}
			if lag := s["lag"]; (lag != nil) != (n.Role == "master" && g.Name == "sentinel") {
				t.Errorf("%s %s: lag %v", n.Role, n.Addr, lag)
			}
		}
	})
}

// A reader without a Flusher, like a recorder behind some middleware, breaks nothing.
type deaf struct{ http.ResponseWriter }

func TestAStreamThatCannotBeFlushed(t *testing.T) {
	server := redistest.NewServer(t)
	b := open(t, setOf(t, map[string]string{"default": server.URL()}), admin.WithStreams(1, 100*time.Millisecond))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.h.ServeHTTP(deaf{httptest.NewRecorder()}, httptest.NewRequest("GET", "/admin/events"+q("addr", server.Addr()), nil))
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("a stream that cannot be flushed does not end")
	}
}

// What the authorizer says is logged, not shown, and so is why a page is refused.
func TestRefusalsAreLogged(t *testing.T) {
	var log strings.Builder
	b := open(t, setOf(t, map[string]string{"default": "redis://127.0.0.1:1"}), admin.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		admin.WithAuthorizer(func(r *http.Request) (admin.Access, error) {
			if r.Header.Get("X-Staff") == "" {
				return admin.Access{}, errors.New("the badge is missing")
			}
			return admin.Access{User: "ann"}, nil
		}))
	if status, body := b.get(""); status != 403 || strings.Contains(body, "badge") || !strings.Contains(log.String(), "the badge is missing") {
		t.Errorf("got %d %s, log %s", status, body, log.String())
	}
	log.Reset()
	r := httptest.NewRequest("GET", "/admin/", nil)
	r.Header.Set("X-Staff", "ann")
	w := httptest.NewRecorder()
	if b.h.ServeHTTP(w, r); w.Code != 403 || !strings.Contains(log.String(), "no right to read") {
		t.Errorf("got %d, log %s", w.Code, log.String())
	}
}

// After a failover the pages show the new master, from the same panel.
func TestAFailoverIsSeen(t *testing.T) {
	cluster := redistest.NewCluster(t, 1)
	set := setOf(t, map[string]string{"default": cluster.Target().URL})
	b := open(t, set, admin.WithTimeout(3*time.Second))
	rdb := cluster.Target().Client(t)
	for i := range 60 {
		if err := rdb.Set(t.Context(), "k"+tagOf(i), i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	err := rdb.(*redis.ClusterClient).ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
		return master.Wait(ctx, 1, patience).Err() // a replica without the last keys would not get them any more
	})
	if err != nil {
		t.Fatal(err)
	}
	var dead string
	for _, n := range nodes(t, set, "default") {
		if n.Role == "master" && len(n.Slots) > 0 && n.Slots[0].From == 0 {
			dead = n.Addr
		}
	}
	for _, s := range cluster.Nodes {
		if s.Addr() == dead {
			s.Kill()
		}
	}
	redistest.Eventually(t, time.Minute, func() bool {
		status, body := b.get("keys" + q("match", "k{*"))
		return status == 200 && len(allKeys(b, body)) == 60
	}, "the keys of %s are not found again", dead)
	servers := table(t, b.see("connection"), "Server")
	if r := row(t, servers, "Slots or master", "0–5460"); r["Server"] == dead || r["Role"] != "master" {
		t.Errorf("got %v", r)
	}
}

// allKeys follows a search to its end.
func allKeys(b *browser, body string) map[string]bool {
	all := map[string]bool{}
	for {
		for _, key := range keysOn(body) {
			all[key] = true
		}
		at := next(body)
		if at == "" {
			return all
		}
		status, more := b.get(at)
		if status != 200 {
			return nil
		}
		body = more
	}
}

// A client of the user's and one of connect's own show the same keys.
func TestBothKindsOfClientsShowTheSame(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		for i := range 20 {
			rdb.ZAdd(t.Context(), prefix+tagOf(i), redis.Z{Score: float64(i), Member: i})
		}
		conn, err := connect.FromClient(rdb)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := open(t, setOf(t, map[string]string{"default": g.URL})), open(t, conn)
		page := "keys" + q("match", prefix+"*")
		a, b := allKeys(ours, ours.see(page)), allKeys(theirs, theirs.see(page))
		if len(a) != 20 || len(b) != 20 {
			t.Errorf("%d and %d keys", len(a), len(b))
		}
		for key := range a {
			if !b[key] {
				t.Errorf("%s is missing", key)
			}
		}
	})
}
