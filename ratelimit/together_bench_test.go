package ratelimit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
)

// BenchmarkTogether compares several policies in one key of the client with a key
// for each, in one run: an iteration is a round in which each works for a moment.
// Reported are calls per second of 64 goroutines with a key for each policy, the µs of
// the server's time for a decision and the release of its place, and one key's ratios to
// both. Each is that of the best tenth of the rounds, because on a busy machine the
// others measure its other work. Use -benchtime 40x.
func BenchmarkTogether(b *testing.B) {
	g := redistest.Standalone(b)
	conn, err := connect.Open(g.URL, connect.WithName("bench"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	const many = 100_000_000
	second, minute, day := per(many, time.Second), per(many, time.Minute), Window(many, 24*time.Hour)
	for _, tc := range []struct {
		name   string
		limits []Limit
	}{
		{"one-bucket", []Limit{second}}, // of WithLimitsFunc
		{"two-buckets", []Limit{second, minute}},
		{"three-buckets", []Limit{second, minute, per(many, time.Hour)}},
		{"bucket+day", []Limit{second, day}},
		{"bucket+full-window", []Limit{second, Window(many, 4*time.Second)}},
		{"two-full-windows", []Limit{Window(many, 4*time.Second), Window(many, 5*time.Second)}},
		{"bucket+places", []Limit{second, Concurrency(many)}},
		{"bucket+day+places", []Limit{second, day, Concurrency(many)}},
		{"refused", []Limit{second, per(1, time.Hour)}},
	} {
		b.Run(tc.name, func(b *testing.B) {
			var forms [2]*Limiter
			for i := range forms {
				l, err := New(conn.Client(), tc.limits[0], WithLimits(tc.limits[1:]...), WithDenyCache(0, 0), WithTimeout(time.Minute), WithKeyPrefix(fmt.Sprint(redistest.Prefix(b), i)))
				if err != nil {
					b.Fatal(err)
				}
				l.static.together = i == 1
				forms[i] = l
			}
			var perSecond, micros [2][]float64
			for b.Loop() {
				for i, l := range forms {
					perSecond[i] = append(perSecond[i], -bench.Throughput(64, func(i int) func() { return entering(b, l, strconv.Itoa(i%16)) }))
					before := scriptTime(b, conn.Client())
					for k := range 100 {
						entering(b, l, strconv.Itoa(k%4))()
					}
					micros[i] = append(micros[i], (scriptTime(b, conn.Client())-before)/100)
				}
			}
			b.ReportMetric(0, "ns/op")
			lowest := func(values []float64) float64 { slices.Sort(values); return values[len(values)/10] }
			b.ReportMetric(-lowest(perSecond[0]), "each/s")
			b.ReportMetric(lowest(perSecond[1])/lowest(perSecond[0]), "together/each")
			b.ReportMetric(lowest(micros[0]), "each-µs")
			b.ReportMetric(lowest(micros[1])/lowest(micros[0]), "together-µs/each-µs")
		})
	}
}

// entering returns a call that enters the limiter and leaves it.
func entering(b *testing.B, l *Limiter, key string) func() {
	return func() {
		_, leave, err := l.Enter(b.Context(), key, 1)
		if err != nil {
			b.Error(err)
		}
		leave()
	}
}

// scriptTime returns the server's time for scripts and for the release of places, in µs.
func scriptTime(b *testing.B, rdb redis.UniversalClient) (sum float64) {
	b.Helper()
	for line := range strings.Lines(rdb.Info(b.Context(), "commandstats").Val()) {
		for _, name := range []string{"evalsha", "zrem"} {
			var calls, usec float64
			if rest, ok := strings.CutPrefix(line, "cmdstat_"+name+":"); ok {
				if _, err := fmt.Sscanf(rest, "calls=%f,usec=%f", &calls, &usec); err != nil {
					b.Fatal(err)
				}
				sum += usec
			}
		}
	}
	return sum
}
