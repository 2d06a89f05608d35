package admin_test

import (
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// A plain go-redis client of any topology is enough for all pages.
func TestAPanelOfAPlainClient(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix, events := g.Client(t), redistest.Prefix(t), &trail{}
		conn, err := connect.FromClient(rdb, connect.WithName("mine"))
		if err != nil {
			t.Fatal(err)
		}
		limiter, err := ratelimit.New(rdb, redis_rate.PerMinute(10), ratelimit.WithKeyPrefix(prefix), ratelimit.WithTimeout(patience), ratelimit.WithDenyCache(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		locks := lockerOf(t, rdb, prefix)
		b := open(t, conn, admin.WithAudit(events.add), admin.WithLimiter("", "api", limiter), admin.WithLocks("", "", locks))
		rdb.Set(t.Context(), prefix+":k", "value", time.Minute)
		if got := facts(b.see("", "well")); got["Topology"] != g.Name {
			t.Errorf("got %v", got)
		}
		body := b.see("connection", "mine")
		for _, n := range table(t, body, "Server") {
			if n["State"] != "well" || n["Role"] != "master" && n["Role"] != "replica" {
				t.Errorf("got %v", n)
			}
			if n["Role"] == "master" {
				b.see("node"+q("conn", "mine", "addr", n["Server"]), "Memory", "Slow log")
			}
		}
		row(t, table(t, b.see("keys"+q("match", prefix+":*")), "Key"), "Key", prefix+":k")
		b.see("key"+q("key", prefix+":k"), "<pre>value</pre>")
		b.confirm("confirm" + q("action", "delete", "conn", "mine", "key", prefix+":k"))
		events.last(t, "delete")
		if rdb.Exists(t.Context(), prefix+":k").Val() != 0 {
			t.Error("the key is still there")
		}
		b.confirm("confirm" + q("action", "block", "conn", "mine", "label", "api", "client", "203.0.113.7", "for", "15m"))
		if e := events.last(t, "block"); e.Conn != "mine" {
			t.Errorf("got %+v", e)
		}
		b.see("limits"+q("client", "203.0.113.7"), "blocked")
		hold(t, locks.Acquire, "order-7")
		b.see("locks"+q("lock", "order-7"), "held")
		for _, page := range []string{"sessions", "cache", "cron"} {
			b.see(page)
		}
	})
}

// one yields connections in an order of its own, and has no aliases.
type one []*connect.Conn

func (o one) All() iter.Seq2[string, *connect.Conn] {
	return func(yield func(string, *connect.Conn) bool) {
		for _, c := range o {
			if !yield(c.Name(), c) {
				return
			}
		}
	}
}

func TestAPanelOfOtherConnections(t *testing.T) {
	var all one
	for _, name := range []string{"zebra", "ant"} {
		c, err := connect.FromClient(redistest.Standalone(t).Client(t), connect.WithName(name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	b := open(t, all)
	body := b.see("")
	if first, second := strings.Index(body, ">zebra<"), strings.Index(body, ">ant<"); first < 0 || second < first {
		t.Errorf("the order is not kept: %s", words(text(body)))
	}
	b.see("keys", "<option selected>zebra", "<option>ant")
	b.see("keys"+q("conn", "ant"), "<option selected>ant")
	if status, body := b.get("keys" + q("conn", "bee")); status != 404 || !strings.Contains(words(body), `unknown connection "bee"`) {
		t.Errorf("got %d %s", status, words(text(body)))
	}
	b = open(t, one{})
	b.see("", "There are no connections")
	if status, _ := b.get("keys"); status != 404 {
		t.Errorf("keys of nothing: %d", status)
	}
}

// A connection that cannot be made is on the page with its mistake.
func TestAConnectionThatCannotBeMade(t *testing.T) {
	set := connect.NewSet(connect.WithEmbedded(func() (connect.EmbeddedServer, error) { return nil, errors.New("no memory <b>") }))
	redistest.CloseAfter(t, patience, set)
	if err := errors.Join(set.Add("broken", "embedded://"), set.Add("default", redistest.Standalone(t).URL)); err != nil {
		t.Fatal(err)
	}
	b := open(t, set)
	body := b.see("", "no memory &lt;b&gt;", "well", "down")
	if strings.Contains(body, "<b>") {
		t.Error("the mistake is markup")
	}
	if status, body := b.get("keys" + q("conn", "broken")); status != 502 || !strings.Contains(body, "no memory") {
		t.Errorf("got %d %s", status, words(text(body)))
	}
}

// Options without a connection mean the only one, and none of several.
func TestOptionsDefaultToTheOnlyConnection(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	limiter, err1 := ratelimit.New(rdb, redis_rate.PerMinute(10))
	sessions, err2 := session.New(rdb)
	responses, err3 := cache.New(rdb)
	runner, err4 := cronlock.New(rdb)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, responses)
	redistest.CloseAfter(t, patience, runner)
	job, err := runner.Job("report", nil)
	if err == nil {
		t.Fatalf("a job without a function: %v", job)
	}
	locks := lockerOf(t, rdb, redistest.Prefix(t))
	opts := func(conn string) []admin.Option {
		return []admin.Option{admin.WithAuthorizer(fullAccess), admin.WithLimiter(conn, "", limiter), admin.WithSessions(conn, "", sessions), admin.WithCache(conn, "", responses), admin.WithLocks(conn, "", locks)}
	}
	single := setOf(t, map[string]string{"only": redistest.Standalone(t).URL})
	if err := single.Alias("role", "only"); err != nil {
		t.Fatal(err)
	}
	several := setOf(t, map[string]string{"a": redistest.Standalone(t).URL, "b": redistest.Standalone(t).URL})
	for _, conn := range []string{"", "only", "role"} {
		if _, err := admin.New(single, opts(conn)...); err != nil {
			t.Errorf("%q of one: %v", conn, err)
		}
	}
	for conn, want := range map[string]string{"": "names no connection of [a b]", "c": `no connection "c"`} {
		_, err := admin.New(several, opts(conn)...)
		for _, option := range []string{"WithLimiter", "WithSessions", "WithCache", "WithLocks"} {
			if err == nil || !strings.Contains(err.Error(), "admin: "+option+": ") || !strings.Contains(err.Error(), want) {
				t.Errorf("%q of two: %s is not reported: %v", conn, option, err)
			}
		}
	}
	if _, err := admin.New(several, opts("b")...); err != nil {
		t.Errorf("one of two: %v", err)
	}
	_, err = admin.New(single, admin.WithAuthorizer(fullAccess), admin.WithLimiter("", "api", limiter), admin.WithLimiter("role", "api", limiter), admin.WithLimiter("only", "other", limiter))
	if err == nil || strings.Count(err.Error(), `label "api" is in use twice`) != 1 {
		t.Errorf("a label that is in use twice: %v", err)
	}
}

func TestNothingToShow(t *testing.T) {
	for name, conns := range map[string]admin.Connections{"nil": nil, "a nil Set": (*connect.Set)(nil), "a nil Conn": (*connect.Conn)(nil)} {
		_, err := admin.New(conns, admin.WithAuthorizer(fullAccess), admin.WithLimiter("", "", nil), admin.WithSessions("x", "", nil), admin.WithJobs("", nil))
		for _, want := range []string{"admin: conns: is nil", "WithLimiter: is nil", "WithSessions: is nil", "WithJobs: is nil"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: does not say %q: %v", name, want, err)
			}
		}
	}
}

// A connection that is closed is said to be, and breaks no page.
func TestAClosedConnection(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: redistest.NewServer(t).Addr(), ContextTimeoutEnabled: true})
	conn, err := connect.FromClient(rdb, connect.WithCloseClient(true))
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, conn)
	b.see("", "well")
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.see("", "down", "closed")
	for _, page := range []string{"keys", "key" + q("key", "k"), "limits", "cron"} {
		if status, body := b.get(page); status != 502 || !strings.Contains(body, "closed") {
			t.Errorf("%s: %d %s", page, status, words(text(body)))
		}
	}
}
