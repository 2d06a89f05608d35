package peerbench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	ulule "github.com/ulule/limiter/v3/drivers/store/redis"
)

// BenchmarkLimiter admits requests of many addresses. Peers that are no middleware have
// a handler around them as people write it.
func BenchmarkLimiter(b *testing.B) {
	for _, s := range limiters() {
		s.run(b)
	}
}

func limiters() []scenario {
	return []scenario{{
		name: "allowed", base: get(32), goroutines: []int{1, 64, 256}, delays: []time.Duration{0, time.Millisecond},
		all: []contender{
			ourLimiter(client), ourLimiter(batched),
			{"rueidis-window", func(e *env) begin { return limited(windowByHand(e.rueidis())) }},
			{"redis_rate-AutoPipeline", func(e *env) begin { return limited(redisRate(redis_rate.NewLimiter(e.autoPipeline()))) }},
			{"redis_rate", func(e *env) begin { return limited(redisRate(redis_rate.NewLimiter(e.goredis()))) }},
			{"ulule", func(e *env) begin {
				store, err := ulule.NewStore(e.goredis())
				e.check(err)
				return limited(stdlib.NewMiddleware(limiter.New(store, limiter.Rate{Period: time.Minute, Limit: perMinute})).Handler)
			}},
			autoGet(32), arrivals(),
		},
	}}
}

// perMinute is never reached.
const perMinute = 100_000_000

func ourLimiter(name string) contender {
	return contender{name, func(e *env) begin { return limited(e.limits(e.pick(name)).Handler) }}
}

// limited are visitors of a page behind a limiter.
func limited(wrap func(http.Handler) http.Handler) begin {
	body := []byte("served")
	return visit(wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })), body)
}

// decide is a limiter that is no middleware: how many requests are left, or that none is.
type decide func(ctx context.Context, key string) (left int64, allowed bool, err error)

// byHand is a handler around it.
func byHand(decide decide) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host, _, err := net.SplitHostPort(r.RemoteAddr)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			left, allowed, err := decide(r.Context(), host)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("RateLimit-Remaining", strconv.FormatInt(left, 10))
			if !allowed {
				http.Error(w, "too many requests", http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func redisRate(l *redis_rate.Limiter) func(http.Handler) http.Handler {
	limit := redis_rate.Limit{Rate: perMinute, Burst: perMinute, Period: time.Minute}
	return byHand(func(ctx context.Context, key string) (int64, bool, error) {
		res, err := l.Allow(ctx, key, limit)
		if err != nil {
			return 0, false, err
		}
		return int64(res.Remaining), res.Allowed > 0, nil
	})
}

// countInWindow counts requests in a window that begins with the first of them.
var countInWindow = rueidis.NewLuaScript(`
local n = redis.call('INCRBY', KEYS[1], ARGV[1])
if n == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return n`)

// windowByHand is a fixed window by hand over rueidis, which batches by itself. Its own
// limiter, a module apart, counts so too.
func windowByHand(c rueidis.Client) func(http.Handler) http.Handler {
	return byHand(func(ctx context.Context, key string) (int64, bool, error) {
		n, err := countInWindow.Exec(ctx, c, []string{"window:" + key}, []string{"1", "60000"}).AsInt64()
		return max(perMinute-n, 0), n <= perMinute, err
	})
}

// arrivals is the least that counts exactly by the server's clock: one integer for each
// client, in a script over go-redis' own batching.
func arrivals() contender {
	script := redis.NewScript(`
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local at = tonumber(redis.call('GET', KEYS[1]) or now)
if at < now then at = now end
redis.call('SET', KEYS[1], string.format('%.0f', at + ARGV[1]), 'PX', 60000)
return 1`)
	return contender{"bare-script", func(e *env) begin {
		ap := e.autoPipeline()
		return func(i int) func() error {
			n := i * 64
			return func() error {
				n++
				got, err := script.Run(context.Background(), ap, []string{fmt.Sprint("bare:", n%addresses)}, 1).Int()
				if err == nil && got != 1 {
					return errValue
				}
				return err
			}
		}
	}}
}
