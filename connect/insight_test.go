package connect_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

func roles(nodes []connect.Node) map[string]int {
	n := map[string]int{}
	for _, node := range nodes {
		n[node.Role]++
	}
	return n
}

func TestNodes(t *testing.T) {
	t.Parallel()
	cluster, sentinel := redistest.NewCluster(t, 1), redistest.NewSentinel(t)
	for _, tc := range []struct {
		url  string
		want map[string]int
	}{
		{redistest.Standalone(t).URL, map[string]int{"master": 1}},
		{redistest.NewServer(t, redistest.WithUnix()).URL(), map[string]int{"master": 1}},
		{sentinel.Target().URL, map[string]int{"master": 1, "replica": 1, "sentinel": 3}},
		{cluster.Target().URL, map[string]int{"master": 3, "replica": 3}},
	} {
		c := open(t, tc.url)
		nodes, err := c.Nodes(within(t, patience))
		if err != nil {
			t.Fatal(err)
		}
		for role, n := range tc.want {
			if got := roles(nodes)[role]; got != n {
				t.Errorf("%v: %d nodes are %s, want %d: %+v", c, got, role, n, nodes)
			}
		}
		for _, n := range c.Health(within(t, patience)).Nodes {
			if n.Server+" "+n.Version != redistest.Version() {
				t.Errorf("%v: health says %s %s, want %s", c, n.Server, n.Version, redistest.Version())
			}
		}
		slots := 0
		for _, n := range nodes {
			if !n.OK || n.Addr == "" || n.Role == "master" && (n.Server+" "+n.Version != redistest.Version() || n.UsedMemory == 0 || n.Clients == 0) || n.Role == "replica" && (n.Master == "" || !n.LinkUp) {
				t.Errorf("%v: %+v", c, n)
			}
			for _, r := range n.Slots {
				slots += r.To - r.From + 1
			}
		}
		if c.Mode() == connect.Cluster && slots != 16384 {
			t.Errorf("the masters have %d slots", slots)
		}
	}

	// The dead are listed with their error.
	c := open(t, cluster.Target().URL)
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	dead := cluster.Masters()[0]
	dead.Kill()
	nodes, err := c.Nodes(within(t, patience))
	i := slices.IndexFunc(nodes, func(n connect.Node) bool { return n.Addr == dead.Addr() })
	if err != nil || i < 0 || nodes[i].OK || nodes[i].Error == "" || nodes[i].Role != "master" {
		t.Errorf("a dead master: %+v, %v", nodes, err)
	}
	c = open(t, "redis://"+dead.Addr())
	nodes, err = c.Nodes(within(t, patience))
	if err != nil || len(nodes) != 1 || nodes[0].OK || !strings.Contains(nodes[0].Error, "refused") {
		t.Errorf("a dead server: %+v, %v", nodes, err)
	}
}

func get(t *testing.T, h http.Handler, method string) (int, string, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/readyz", nil))
	var body map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &body)
	return w.Code, w.Body.String(), body
}

func TestHealthHandler(t *testing.T) {
	s := redistest.NewServer(t)
	set := connect.NewSet()
	for name, url := range map[string]string{"default": redistest.Standalone(t).URL, "flaky": s.URL(), "cluster": redistest.Cluster(t).URL, "sentinel": redistest.Sentinel(t).URL} {
		if err := set.Add(name, url); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Alias("sessions", "default"); err != nil {
		t.Fatal(err)
	}
	all, some, unknown := set.HealthHandler(), set.HealthHandler("sessions", "cluster"), set.HealthHandler("nobody")
	live := set.LivenessHandler()
	status := func(h http.Handler) int { code, _, _ := get(t, h, "GET"); return code }

	code, text, body := get(t, all, "GET")
	if code != 200 || body["status"] != "ok" || len(body["connections"].(map[string]any)) != 4 {
		t.Errorf("all well: got %d %s", code, text)
	}
	if code, text, _ := get(t, all, "HEAD"); code != 200 || text != "" {
		t.Errorf("HEAD: got %d %q", code, text)
	}
	if code := status(unknown); code != 503 {
		t.Errorf("an unknown name: got %d, want 503", code)
	}
	if code, _, _ := get(t, all, "POST"); code != 405 {
		t.Errorf("POST: got %d, want 405", code)
	}

	s.Kill()
	redistest.Eventually(t, patience, func() bool { return status(all) == 503 }, "a dead Redis is not seen")
	_, text, body = get(t, all, "GET")
	flaky := body["connections"].(map[string]any)["flaky"].(map[string]any)
	if body["status"] != "unavailable" || flaky["ok"] != false || !strings.Contains(flaky["error"].(string), "refused") {
		t.Errorf("one is down: got %s", text)
	}
	if code := status(some); code != 200 {
		t.Errorf("only others are required: got %d, want 200", code)
	}
	if code := status(live); code != 200 {
		t.Errorf("liveness with Redis down: got %d, want 200", code)
	}
	s.Restart(t)
	redistest.Eventually(t, patience, func() bool { return status(all) == 200 }, "the recovery is not seen")

	// A hung Redis holds a probe for a second, not for ever.
	s.Pause()
	redistest.Eventually(t, patience, func() bool { return status(all) == 503 }, "a hung Redis is not seen")
	s.Resume()
	redistest.Eventually(t, patience, func() bool { return status(all) == 200 }, "the recovery is not seen")

	if err := set.Close(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	if code := status(live); code != 503 {
		t.Errorf("liveness after Close: got %d, want 503", code)
	}
}

// However many probes come, Redis is asked at most once in half a second.
func TestHealthHandlerSharesAnswers(t *testing.T) {
	s := redistest.NewServer(t)
	c := open(t, s.URL())
	h := c.HealthHandler()
	count := func() string { return infoLine(t, s, "cmdstat_ping:calls=") }
	get(t, h, "GET")
	before := count()
	var wg sync.WaitGroup
	start := time.Now()
	for range 20 {
		wg.Go(func() { get(t, h, "GET") })
	}
	wg.Wait()
	if after := count(); after != before && time.Since(start) < 400*time.Millisecond {
		t.Errorf("20 probes: PING was sent again (%s, then %s)", before, after)
	}
}

func infoLine(t *testing.T, s *redistest.Server, prefix string) string {
	t.Helper()
	info := s.Client(t).Info(t.Context(), "commandstats").Val()
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, prefix); ok {
			calls, _, _ := strings.Cut(value, ",")
			return calls
		}
	}
	return ""
}

// A replica answers PING as well, and a cluster without one of its masters
// still has two that do.
func TestHealthSeesMoreThanPing(t *testing.T) {
	t.Parallel()
	master := redistest.NewServer(t)
	host, port, _ := strings.Cut(master.Addr(), ":")
	replica := redistest.NewServer(t, redistest.WithArgs("--replicaof", host+" "+port))
	if h := open(t, replica.URL()).Health(within(t, patience)); h.OK || !strings.Contains(h.Error, "replica") {
		t.Errorf("a replica: %+v", h)
	}
	nodes := redistest.NewCluster(t, 0)
	c := open(t, nodes.Target().URL)
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	nodes.Nodes[2].Kill()
	h := connect.Health{}
	redistest.Eventually(t, patience, func() bool {
		h = c.Health(within(t, time.Second))
		states := 0
		for _, n := range h.Nodes {
			if strings.Contains(n.Error, "state") {
				states++
			}
		}
		return !h.OK && states == 2
	}, "the two that are left do not say that the cluster is incomplete")
}
