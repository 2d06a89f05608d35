package chaintest

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// An answer is not an outage: what Redis says of one key, or of what one request
// wants of it, concerns that request. The others are served on, at once.
func TestAnAnswerIsNoOutage(t *testing.T) {
	ctx := t.Context()
	for _, s := range keyedSubjects() {
		t.Run(s.name, func(t *testing.T) {
			server := redistest.NewServer(t)
			direct := server.Client(t)
			use := s.make(t, server.Client(t))
			ready := func(n int) {
				t.Helper()
				redistest.Eventually(t, Patience, func() bool { return use(n) }, "key %d: not served", n)
			}
			atOnce := func(n int, when string) {
				t.Helper()
				if !use(n) {
					t.Errorf("%s: another key is decided without Redis", when)
				}
			}
			ready(0)
			keys, err := direct.Keys(ctx, "*").Result()
			if err != nil || len(keys) == 0 {
				t.Fatalf("keys: %v, %v", keys, err)
			}
			for n := range 6 {
				ready(n + 1)
			}
			for _, key := range keys { // of another type than anybody expects
				direct.Del(ctx, key)
				direct.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"a", "b"}})
			}
			for range 8 {
				use(0)
			}
			if s.name != "cache" { // whose keys share the log, which is replaced here
				atOnce(1, "a key of another type")
			}
			if direct.FlushDB(ctx); s.name == "session" {
				return // what follows needs writes, and TestAFullRedisServesReaders is about these
			}
			for command, n := range map[string]int{"evalsha": 2, "eval": 3} { // NOPERM
				if err := direct.ACLSetUser(ctx, "default", "-"+command).Err(); err != nil {
					t.Fatal(err)
				}
				for range 8 {
					use(n)
				}
				if err := direct.ACLSetUser(ctx, "default", "+"+command).Err(); err != nil {
					t.Fatal(err)
				}
				atOnce(n+2, "after -"+command)
			}
			direct.ConfigSet(ctx, "maxmemory", "1")
			for range 8 {
				use(4)
			}
			direct.ConfigSet(ctx, "maxmemory", "0")
			atOnce(6, "after a full Redis")
		})
	}
}

// New sessions that a full Redis refuses keep nobody from reading theirs.
func TestAFullRedisServesReaders(t *testing.T) {
	server := redistest.NewServer(t)
	direct := server.Client(t)
	m := must(session.New(server.Client(t), session.WithKeyPrefix("t")))
	reads := false
	a := &app{h: m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if n := m.GetInt(r.Context(), "n"); !reads {
			m.Put(r.Context(), "n", n+1)
		}
	}))}
	redistest.Eventually(t, Patience, func() bool { return a.get().Code == 200 }, "not up")
	cookie := a.cookie
	direct.ConfigSet(t.Context(), "maxmemory", "1")
	for range 8 {
		if a.cookie = ""; a.get().Code != 503 {
			t.Fatal("a session was saved in a full Redis")
		}
	}
	a.cookie, reads = cookie, true
	for range 3 {
		if w := a.get(); w.Code != 200 {
			t.Errorf("a reader gets %d", w.Code)
		}
	}
}
