package ratelimit

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
)

// BenchmarkTogether compares several policies in one key of the client with a key
// for each, in one run: an iteration is a round in which each works for a moment.
// Reported are medians over the rounds: calls per second and µs of the server's time
// for each call with a key for each policy, and one key's ratio to them. Use
// -benchtime 20x and look at the ratios.
func BenchmarkTogether(b *testing.B) {
	g := redistest.Standalone(b)
	conn, err := connect.Open(g.URL, connect.WithName("bench"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	const many = 100_000_000
	bucket := func(period time.Duration) Limit { return per(many, period) }
	for _, tc := range []struct {
		name   string
		limits []Limit
	}{
		{"two-buckets", []Limit{bucket(time.Second), bucket(time.Minute)}},
		{"three-buckets", []Limit{bucket(time.Second), bucket(time.Minute), bucket(time.Hour)}},
		{"bucket+day", []Limit{bucket(time.Second), Window(many, 24*time.Hour)}},
		{"bucket+full-window", []Limit{bucket(time.Second), Window(many, 4*time.Second)}},
		{"two-full-windows", []Limit{Window(many, 4*time.Second), Window(many, 5*time.Second)}},
		{"bucket+places", []Limit{bucket(time.Second), Concurrency(many)}},
		{"bucket+day+places", []Limit{bucket(time.Second), Window(many, 24*time.Hour), Concurrency(many)}},
		{"bucket+full-places", []Limit{bucket(time.Second), Concurrency(10)}},
		{"refused", []Limit{bucket(time.Second), per(1, time.Hour)}},
	} {
		b.Run(tc.name, func(b *testing.B) {
			var perSecond, micros [2][]float64
			form := func(together int) {
				l, err := New(conn.Client(), tc.limits[0], WithLimits(tc.limits[1:]...), WithDenyCache(0, 0), WithTimeout(time.Minute),
					WithKeyPrefix(fmt.Sprint(b.Name(), together)))
				if err != nil {
					b.Fatal(err)
				}
				l.static.together = together == 1
				if err := conn.Client().ConfigResetStat(b.Context()).Err(); err != nil {
					b.Fatal(err)
				}
				var decisions atomic.Int64
				perSecond[together] = append(perSecond[together], bench.Throughput(64, func(i int) func() {
					key := strconv.Itoa(i % 16)
					return func() {
						_, leave, err := l.Enter(b.Context(), key, 1)
						if err != nil {
							b.Error(err)
						}
						leave()
						decisions.Add(1)
					}
				}))
				micros[together] = append(micros[together], scriptTime(b, conn.Client(), decisions.Load()))
			}
			for b.Loop() {
				form(0)
				form(1)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(bench.Median(perSecond[0], nil), "each/s")
			b.ReportMetric(bench.Median(perSecond[1], perSecond[0]), "together/each")
			b.ReportMetric(bench.Median(micros[0], nil), "each-us")
			b.ReportMetric(bench.Median(micros[1], micros[0]), "together-us/each-us")
		})
	}
}

// scriptTime returns the server's µs for each decision and for the release of its
// place.
func scriptTime(b *testing.B, rdb redis.UniversalClient, decisions int64) float64 {
	b.Helper()
	info := rdb.Info(b.Context(), "commandstats").Val()
	of := func(name string) (calls, usec float64) {
		m := regexp.MustCompile(`cmdstat_` + name + `:calls=(\d+),usec=(\d+)`).FindStringSubmatch(info)
		if m == nil {
			return 0, 0
		}
		calls, _ = strconv.ParseFloat(m[1], 64)
		usec, _ = strconv.ParseFloat(m[2], 64)
		return calls, usec
	}
	_, scripts := of("evalsha")
	_, released := of("zrem")
	return (scripts + released) / float64(decisions)
}
