package admin_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Every page is made within 300 ms beside a million keys, and the server goes on
// as before: its slow log stays empty at its own threshold of 10 ms, and a SCAN takes
// less than a millisecond. (A slow log of 1 ms holds PINGs on a machine that is busy.)
func TestAMillionKeys(t *testing.T) {
	redistest.Long(t)
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
				s.Client(t).ConfigResetStat(t.Context())
				s.Client(t).Do(t.Context(), "slowlog", "reset")
			}
			set := setOf(t, map[string]string{"default": url})
			b := open(t, set)
			b.see("") // connects
			addr := nodes(t, set, "default")[0].Addr
			quiet := pings(t, servers[0].Client(t), func() { redistest.Eventually(t, patience, after(time.Second), "a second does not pass") })
			busy := pings(t, servers[0].Client(t), func() {
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
					slices.Sort(took)
					t.Logf("%-40s %6.1f ms … %6.1f ms", page, float64(took[0].Microseconds())/1000, float64(took[4].Microseconds())/1000)
					if took[2] > 300*time.Millisecond {
						t.Errorf("%s takes %v", page, took)
					}
				}
			})
			t.Logf("a PING takes %v at most, 99 %% %v; while pages are made %v, 99 %% %v", quiet[len(quiet)-1], quiet[len(quiet)*99/100], busy[len(busy)-1], busy[len(busy)*99/100])
			for _, s := range servers {
				slow, err := s.Client(t).SlowLogGet(t.Context(), 10).Result()
				if err != nil || len(slow) > 0 {
					t.Errorf("the slow log holds %v %v", slow, err)
				}
				_, line, _ := strings.Cut(s.Client(t).Info(t.Context(), "commandstats").Val(), "cmdstat_scan:")
				_, each, _ := strings.Cut(line, "usec_per_call=")
				each, _, _ = strings.Cut(each, ",")
				if us, err := strconv.ParseFloat(each, 64); err != nil || us > 1000 {
					t.Errorf("a SCAN takes %s µs: %v", each, err)
				}
				t.Logf("a SCAN takes %s µs", each)
			}
		})
	}
}

// after is true from d on.
func after(d time.Duration) func() bool {
	start := time.Now()
	return func() bool { return time.Since(start) > d }
}

// pings asks a server again and again while something is done, and returns how
// long it took to answer, in order.
func pings(t *testing.T, rdb *redis.Client, do func()) []time.Duration {
	t.Helper()
	stop, took := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var all []time.Duration
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			start := time.Now()
			if rdb.Ping(context.Background()).Err() == nil {
				all = append(all, time.Since(start))
			}
			select {
			case <-stop:
				slices.Sort(all)
				took <- all
				return
			case <-tick.C:
			}
		}
	}()
	do()
	close(stop)
	all := <-took
	if len(all) == 0 {
		t.Fatal("the server was not asked")
	}
	return all
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
