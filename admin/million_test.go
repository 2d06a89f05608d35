package admin_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// With ADMIN_MILLION=1: every page is made within 300 ms beside a million keys,
// and the server's slow log, of what took a millisecond, stays empty.
func TestAMillionKeys(t *testing.T) {
	if os.Getenv("ADMIN_MILLION") == "" {
		t.Skip("set ADMIN_MILLION=1")
	}
	const keys = 1_000_000
	single := redistest.NewServer(t)
	cluster := redistest.NewCluster(t, 0)
	for name, url := range map[string]string{"standalone": single.URL(), "cluster": cluster.Target().URL} {
		t.Run(name, func(t *testing.T) {
			var rdb redis.UniversalClient
			servers := []*redistest.Server{single}
			if rdb = single.Client(t); name == "cluster" {
				rdb, servers = cluster.Target().Client(t, func(o *redis.UniversalOptions) { o.ReadTimeout, o.WriteTimeout = patience, patience }), cluster.Nodes
			}
			fill(t, rdb, keys)
			for _, s := range servers {
				s.Client(t).ConfigSet(t.Context(), "slowlog-log-slower-than", "1000")
				s.Client(t).Do(t.Context(), "slowlog", "reset")
			}
			set := setOf(t, map[string]string{"default": url})
			b := open(t, set)
			b.see("") // connects
			addr := nodes(t, set, "default")[0].Addr
			for _, page := range []string{"", "connection", "node" + q("addr", addr), "keys", "keys" + q("match", "user:77777"), "keys" + q("match", "nothing*like*it"), "keys" + q("type", "hash"),
				"key" + q("key", "user:77777"), "key" + q("key", "large"), "limits", "limits" + q("show", "blocked"), "sessions", "cache", "locks", "cron"} {
				var took []time.Duration
				for range 5 {
					start := time.Now()
					w := httptest.NewRecorder()
					b.h.ServeHTTP(w, httptest.NewRequest("GET", "/admin/"+page, nil))
					took = append(took, time.Since(start))
					if w.Code != 200 {
						t.Fatalf("%s: %d %s", page, w.Code, text(w.Body.String()))
					}
				}
				best, worst := took[0], took[0]
				for _, d := range took {
					best, worst = min(best, d), max(worst, d)
				}
				t.Logf("%-40s %6.1f ms … %6.1f ms", page, float64(best.Microseconds())/1000, float64(worst.Microseconds())/1000)
				if best > 300*time.Millisecond {
					t.Errorf("%s takes %v", page, best)
				}
			}
			for _, s := range servers {
				slow, err := s.Client(t).SlowLogGet(t.Context(), 10).Result()
				if err != nil || len(slow) > 0 {
					t.Errorf("the slow log holds %v %v", slow, err)
				}
			}
		})
	}
}

// fill makes users, and some of everything that the middlewares keep.
func fill(t *testing.T, rdb redis.UniversalClient, keys int) {
	t.Helper()
	ctx := t.Context()
	for i := 0; i < keys; {
		pipe := rdb.Pipeline()
		for range 10_000 {
			switch {
			case i%100 == 1:
				pipe.Set(ctx, fmt.Sprintf("ratelimit:v1:100-per-60s:{%032x}", i), fmt.Sprintf("3000000:%d:600000", time.Now().UnixMicro()), time.Hour)
			case i%100 == 2:
				pipe.Set(ctx, fmt.Sprintf("session:v1:__Host-session:%043d", i), "\x00\x01", time.Hour)
			case i%1000 == 3:
				pipe.Set(ctx, fmt.Sprintf("lockmw:v1:default:{%032x}", i), "howner|1|1|1|0", 11*time.Minute)
			case i%1000 == 4:
				pipe.HSet(ctx, fmt.Sprintf("hash:%d", i), "a", 1)
			default:
				pipe.Set(ctx, fmt.Sprintf("user:%d", i), "value", 0)
			}
			i++
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 200_000; i += 10_000 {
		members := make([]redis.Z, 10_000)
		for j := range members {
			members[j] = redis.Z{Score: float64(i + j), Member: fmt.Sprint("member ", i+j)}
		}
		if err := rdb.ZAdd(ctx, "large", members...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
