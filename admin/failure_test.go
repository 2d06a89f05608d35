package admin_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A Redis that is down is said to be, on every page; none fails in another way.
func TestEveryPageOfARedisThatIsDown(t *testing.T) {
	server, events := redistest.NewServer(t), &trail{}
	set := setOf(t, map[string]string{"default": server.URL(), "other": redistest.Standalone(t).URL})
	b := open(t, set, admin.WithTimeout(3*time.Second), admin.WithAudit(events.add), admin.WithLocks("default", "", lockerOf(t, server.Client(t), redistest.Prefix(t))))
	server.Client(t).Set(t.Context(), "key", 1, 0)
	addr := server.Addr()
	what := whatField.FindStringSubmatch(b.see("confirm" + q("action", "delete", "conn", "default", "key", "key")))[1]
	server.Kill()
	body := b.see("", "down", "well")
	if strings.Count(body, "down</span>") == 0 {
		t.Error("the connection is not said to be down")
	}
	b.see("connection"+q("conn", "default"), "down", "Pool of this process")
	for _, page := range []string{"keys", "key" + q("key", "key"), "limits", "limits" + q("show", "blocked"), "sessions", "cache", "locks", "locks" + q("lock", "order-7"), "cron", "node" + q("addr", addr)} {
		sep := "?"
		if strings.Contains(page, "?") {
			sep = "&"
		}
		if status, body := b.get(page + sep + "conn=default"); status != 503 && status != 502 || !strings.Contains(body, `role="alert"`) {
			t.Errorf("%q is answered %d %s", page, status, text(body))
		}
	}
	if status, _, _ := b.post("act", "what", what, "confirmed", "yes"); status != 503 && status != 502 {
		t.Errorf("a write is answered %d", status)
	}
	if e := events.last(t, "delete"); e.Err == nil || e.Key != "key" {
		t.Errorf("the audit hook was told %+v", e)
	}
}

// Part of the keys is not all of them: a search without one of the masters
// does not pass for one that found nothing.
func TestASearchNeedsAllMasters(t *testing.T) {
	cluster := redistest.NewCluster(t, 0)
	b := open(t, setOf(t, map[string]string{"default": cluster.Target().URL}), admin.WithTimeout(3*time.Second))
	b.see("keys", "No key matches")
	cluster.Nodes[2].Kill()
	if status, body := b.get("keys"); status < 500 || !strings.Contains(body, `role="alert"`) {
		t.Errorf("got %d %s", status, text(body))
	}
	b.see("", "cluster", "down")
}

// What was confirmed is done although the browser is gone.
func TestAWriteIsNotLostWithItsClient(t *testing.T) {
	rdb, key, events := redistest.Standalone(t).Client(t), redistest.Prefix(t), &trail{}
	rdb.Set(t.Context(), key, 1, 0)
	b := open(t, setOf(t, map[string]string{"default": redistest.Standalone(t).URL}), admin.WithAudit(events.add))
	what := whatField.FindStringSubmatch(b.see("confirm" + q("action", "delete", "conn", "default", "key", key)))[1]
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest("POST", "/admin/act", strings.NewReader(url.Values{"what": {what}, "confirmed": {"yes"}}.Encode())).WithContext(gone)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	b.h.ServeHTTP(httptest.NewRecorder(), r)
	if e := events.last(t, "delete"); e.Err != nil {
		t.Errorf("got %+v", e)
	}
	if rdb.Exists(t.Context(), key).Val() != 0 {
		t.Error("the key is still there")
	}
}

// A cursor of servers that are no more is told from one that is broken.
func TestACursorOfOtherServers(t *testing.T) {
	one, two := redistest.NewServer(t), redistest.Cluster(t)
	rdb := one.Client(t)
	for i := range 300 {
		rdb.Set(t.Context(), strings.Repeat("k", i+1), 1, 0)
	}
	cursor := next(open(t, setOf(t, map[string]string{"default": one.URL()})).see("keys"))
	if cursor == "" {
		t.Fatal("all keys are on one page")
	}
	status, body := open(t, setOf(t, map[string]string{"default": two.URL})).get(cursor)
	if status != 400 || !strings.Contains(body, "the servers have changed") {
		t.Errorf("got %d %s", status, text(body))
	}
}
