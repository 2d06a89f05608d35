package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A user of Redis who may not do something is told so, where the answer would
// stand: nothing to see would look like nothing there.
func TestWhatRedisForbidsIsSaid(t *testing.T) {
	server := redistest.NewServer(t)
	rdb, ctx := server.Client(t), t.Context()
	rdb.Set(ctx, "lockmw:v1:default:{00112233445566778899aabbccddeeff}", "f|0|0|1000|0", time.Minute)
	rdb.HSet(ctx, "hash", "f", 1)
	rules := []any{"acl", "setuser", "panel", "reset", "on", ">secret", "allkeys"}
	for _, rule := range []string{"ping", "hello", "info", "role", "scan", "dbsize", "type", "pttl", "get", "getrange", "client|setname"} {
		rules = append(rules, "+"+rule)
	}
	if err := rdb.Do(ctx, rules...).Err(); err != nil {
		t.Fatal(err)
	}
	b := open(t, setOf(t, map[string]string{"default": strings.Replace(server.URL(), "redis://", "redis://panel:secret@", 1)}))
	b.see("keys", "hash")
	b.see("key"+q("key", "hash"), "NOPERM")
	b.see("node"+q("addr", server.Addr()), "The slow log cannot be read", "NOPERM")
	if status, body := b.get("locks"); status != 502 || !strings.Contains(body, "NOPERM") {
		t.Errorf("locks that may not be read are answered %d %s", status, text(body))
	}
}

var aclLine = regexp.MustCompile("(?s)```acl\nuser panel (.*?)\n```")

// The user of docs/admin.md may read all pages, and change nothing.
func TestTheUserOfThePageIsEnough(t *testing.T) {
	page, err := os.ReadFile("../docs/admin.md")
	if err != nil {
		t.Fatal(err)
	}
	m := aclLine.FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/admin.md has no user")
	}
	rules := []any{"acl", "setuser", "panel"}
	for rule := range strings.FieldsSeq(string(m[1])) {
		rules = append(rules, rule)
	}
	single, cluster := redistest.NewServer(t), redistest.NewCluster(t, 0)
	for _, g := range []struct {
		*redistest.Target
		nodes []*redistest.Server
	}{{single.Target(), []*redistest.Server{single}}, {cluster.Target(), cluster.Nodes}} {
		t.Run(g.Name, func(t *testing.T) {
			for _, n := range g.nodes {
				if err := n.Client(t).Do(t.Context(), rules...).Err(); err != nil {
					t.Fatal(err)
				}
			}
			keys := everything(t, g.Client(t))
			set := setOf(t, map[string]string{"default": strings.Replace(g.URL, "://", "://panel:change-me-panel@", 1)})
			b := open(t, set)
			pages := []string{"", "connection", "keys", "keys" + q("type", "hash"), "limits", "limits" + q("show", "blocked"), "sessions", "cache", "locks", "cron"}
			for _, n := range nodes(t, set, "default") {
				pages = append(pages, "node"+q("addr", n.Addr))
			}
			for _, key := range keys {
				pages = append(pages, "key"+q("key", key))
			}
			for _, page := range pages {
				if body := b.see(page); strings.Contains(body, "NOPERM") || strings.Contains(body, "permissions") {
					t.Errorf("%q is forbidden something: %s", page, text(body))
				}
			}
			for _, n := range g.nodes {
				log, err := n.Client(t).ACLLog(t.Context(), 20).Result()
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range log {
					t.Errorf("denied: %s %s (%s)", e.Reason, e.Object, e.Context)
				}
			}
			m := whatField.FindStringSubmatch(b.see("confirm" + q("action", "delete", "conn", "default", "key", "some:hash")))
			if status, body, _ := b.post("act", "what", m[1], "confirmed", "yes"); status != 502 || !strings.Contains(body, "NOPERM") {
				t.Errorf("a delete is answered %d %s", status, text(body))
			}
		})
	}
}

// everything makes a key of each type, and of each kind of this module's.
func everything(t *testing.T, rdb redis.UniversalClient) []string {
	t.Helper()
	const hash = "{00112233445566778899aabbccddeeff}"
	ctx := t.Context()
	rdb.Set(ctx, "some:string", 1, 0)
	rdb.HSet(ctx, "some:hash", "f", 1)
	rdb.RPush(ctx, "some:list", 1)
	rdb.SAdd(ctx, "some:set", "a")
	rdb.ZAdd(ctx, "some:zset", redis.Z{Member: "a"})
	rdb.XAdd(ctx, &redis.XAddArgs{Stream: "some:stream", Values: []any{"f", 1}})
	rdb.Set(ctx, "ratelimit:v1:bucket:"+hash, fmt.Sprintf("1:%d:1:%d", time.Now().UnixMicro(), time.Now().Add(time.Hour).UnixMicro()), time.Hour)
	rdb.HSet(ctx, "ratelimit:v1:window:"+hash, "1", 1)
	rdb.HSet(ctx, "ratelimit:v1:"+hash, "a", "g1:1:1:1:0", "b", "w1:1:0:0", "c", "c1:1:0")
	rdb.ZAdd(ctx, "ratelimit:v1:places:"+hash, redis.Z{Score: 1, Member: "a"})
	rdb.Set(ctx, "session:v1:x:"+strings.Repeat("A", 43), "\x00\x01", time.Hour)
	rdb.Set(ctx, "lockmw:v1:default:"+hash, "f|0|0|1000|0", time.Hour)
	rdb.Set(ctx, "lockmw:v1:readers:"+hash+":m", "0|9000|1000|0|", time.Hour)
	rdb.HSet(ctx, "cron:v1:default:"+hash, "last", 1)
	rdb.HSet(ctx, "idempotency:v1:default:"+hash, "s", "d", "r", "kept")
	responses, err := cache.New(rdb, cache.WithTimeouts(patience, patience))
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, responses)
	responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		fmt.Fprint(w, "page")
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://shop.example/", nil))
	var keys []string
	each := func(ctx context.Context, c *redis.Client) error {
		found, err := c.Keys(ctx, "*").Result()
		keys = append(keys, found...)
		return err
	}
	switch c := rdb.(type) {
	case *redis.ClusterClient:
		for _, addr := range c.Options().Addrs {
			one := redis.NewClient(&redis.Options{Addr: addr})
			if err := each(ctx, one); err != nil {
				t.Fatal(err)
			}
			_ = one.Close()
		}
	case *redis.Client:
		if err := each(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) < 16 {
		t.Fatalf("there are only %q", keys)
	}
	return keys
}
