package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

func nodes(t *testing.T, set *connect.Set, name string) []connect.Node {
	t.Helper()
	conn, err := set.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	all, err := conn.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryServerHasAPage(t *testing.T) {
	set := setOf(t, map[string]string{
		"one": redistest.Standalone(t).URL, "guarded": redistest.Sentinel(t).URL, "many": redistest.Cluster(t).URL,
		"unix": redistest.NewServer(t, redistest.WithUnix()).URL(),
	})
	b := open(t, set)
	seen := 0
	for _, name := range set.Names() {
		for _, n := range nodes(t, set, name) {
			page := "node" + q("conn", name, "addr", n.Addr)
			if n.Role == "sentinel" {
				if status, _ := b.get(page); status != 404 {
					t.Errorf("the page of a sentinel is answered %d", status)
				}
				continue
			}
			seen++
			b.see(page, n.Addr, "Memory", "Persistence", "Replication", "Slow log", "Where the time went", "data-events=")
		}
	}
	if seen != 7 {
		t.Errorf("%d servers were seen", seen)
	}
	// An address that is no server of the connection is not dialled.
	if status, _ := b.get("node" + q("conn", "one", "addr", "169.254.169.254:80")); status != 404 {
		t.Errorf("an unknown address is answered %d", status)
	}
}

// The slow log shows what was slow, and no value.
func TestTheSlowLogHasNoSecrets(t *testing.T) {
	server := redistest.NewServer(t, redistest.WithArgs("--slowlog-log-slower-than", "0"))
	rdb := server.Client(t)
	ctx := t.Context()
	rdb.Set(ctx, "slow:key", "hunter2-value", 0)
	rdb.Do(ctx, "auth", "hunter2-password")
	rdb.Get(ctx, "scs:session:hunter2-token")
	rdb.Do(ctx, "config", "set", "masterauth", "hunter2-master")
	b := open(t, setOf(t, map[string]string{"default": server.URL()}))
	body := b.see("node"+q("addr", server.Addr()), "slow:key", "SET", "scs:session:(token not shown)")
	if strings.Contains(body, "hunter2") {
		t.Error("the slow log shows a secret")
	}
}

// samples reads n events of a stream.
func samples(t *testing.T, ctx context.Context, client *http.Client, url string, n int) []map[string]any {
	t.Helper()
	req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %d %v", resp.StatusCode, resp.Header)
	}
	var all []map[string]any
	lines := bufio.NewScanner(resp.Body)
	for len(all) < n && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: {"); ok {
			var s map[string]any
			if err := json.Unmarshal([]byte("{"+data), &s); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
	}
	return all
}

func TestChartsMove(t *testing.T) {
	server := redistest.NewServer(t)
	set := setOf(t, map[string]string{"default": server.URL()})
	b := open(t, set, admin.WithStreams(1, 100*time.Millisecond))
	srv := httptest.NewServer(b.h)
	defer srv.Close()
	url := srv.URL + "/admin/events" + q("addr", server.Addr())
	rdb := server.Client(t)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				rdb.Get(t.Context(), "there is none")
			}
		}
	}()
	defer func() { close(stop); <-done }()
	all := samples(t, t.Context(), srv.Client(), url, 4)
	if len(all) != 4 || all[0]["cpu"] != nil || all[3]["cpu"] == nil || all[3]["hits"] != 0.0 || all[3]["memory"].(float64) < 100_000 || all[3]["lag"] != nil {
		t.Errorf("got %v", all)
	}
}

// A stream ends with its request, gives its place back, and there are only so
// many.
func TestStreamsAreBounded(t *testing.T) {
	server := redistest.NewServer(t)
	set := setOf(t, map[string]string{"default": server.URL()})
	b := open(t, set, admin.WithStreams(1, 100*time.Millisecond))
	srv := httptest.NewServer(b.h)
	defer srv.Close()
	url := srv.URL + "/admin/events" + q("addr", server.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	first, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Body.Close()
	second, err := srv.Client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	second.Body.Close()
	if second.StatusCode != 503 {
		t.Errorf("a second stream is answered %d", second.StatusCode)
	}
	cancel()
	redistest.Eventually(t, patience, func() bool {
		resp, err := srv.Client().Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	}, "the place is not given back")
	// Its connections are gone as well.
	rdb := server.Client(t)
	redistest.Eventually(t, patience, func() bool {
		list, _ := rdb.ClientList(t.Context()).Result()
		return strings.Count(list, "\n") <= 3
	}, "connections of ended streams stay")
}

func TestAStreamSaysThatAServerIsDown(t *testing.T) {
	server := redistest.NewServer(t)
	set := setOf(t, map[string]string{"default": server.URL()})
	b := open(t, set, admin.WithStreams(1, 100*time.Millisecond), admin.WithTimeout(time.Second))
	srv := httptest.NewServer(b.h)
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/admin/events" + q("addr", server.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	server.Kill()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if lines.Text() == "event: down" {
			return
		}
	}
	t.Error("the stream ended without a word")
}
