package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/clientip"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/ratelimit"
)

func Example() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	limiter, err := ratelimit.New(conn.Client(), ratelimit.PerMinute(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		d, _ := limiter.Allow(context.Background(), "203.0.113.7")
		fmt.Println(d.Allowed, d.Remaining)
	}
	// Output:
	// true 1
	// true 0
	// false 0
}

func ExampleLimiter_Handler() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
	resolver, err := clientip.New(clientip.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter, err := ratelimit.New(rdb, ratelimit.PerMinute(100), ratelimit.WithKey(ratelimit.ByIP(resolver)), ratelimit.WithFailureMode(ratelimit.FailClosed))
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	http.ListenAndServe(":8080", limiter.Handler(mux))
}

// A header that anybody can send is no identity: each request can name a new
// address and is never limited. Use [ratelimit.ByIP].
func ExampleWithKey_incorrect() {
	_ = ratelimit.WithKey(func(r *http.Request) (string, error) { return r.Header.Get("X-Forwarded-For"), nil })
}

func ExampleNew_mistakes() {
	_, err := ratelimit.New(nil, ratelimit.PerMinute(0), ratelimit.WithTimeout(0))
	fmt.Println(err)
	// Output:
	// ratelimit: limit: rate 0 is not above 0
	// ratelimit: rdb: is nil
	// ratelimit: WithTimeout: 0s is not above 0
}

func ExampleWithEngine() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	limiter, err := ratelimit.New(nil, ratelimit.PerMinute(100), ratelimit.WithEngine(redis_rate.NewLimiter(rdb)))
	_, _ = limiter, err
}

// Several limits in one round trip: all are charged or none.
func ExampleWithLimits() {
	limiter, err := ratelimit.New(client(), ratelimit.Limit{Limit: redis_rate.Limit{Rate: 10, Burst: 20, Period: time.Second}, Name: "burst"}, ratelimit.WithLimits(
		ratelimit.Window(5000, 24*time.Hour),
		ratelimit.Concurrency(20),
	))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = limiter.Handler(http.NotFoundHandler())
	// Output:
}

// Limits by tier. A request without any is admitted uncounted.
func ExampleWithLimitsFunc() {
	tiers := map[string][]ratelimit.Limit{
		"free": {ratelimit.PerMinute(10).Named("free")},
		"paid": {ratelimit.PerMinute(1000).Named("paid")},
	}
	limiter, err := ratelimit.New(client(), ratelimit.Limit{}, ratelimit.WithLimitsFunc(func(r *http.Request) []ratelimit.Limit {
		return tiers[r.Header.Get("X-Tier")] // from your own session, not from what clients send
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = limiter.Handler(http.NotFoundHandler())
	// Output:
}

// Only failed attempts to log in count.
func ExampleWithRefund() {
	limiter, err := ratelimit.New(client(), ratelimit.PerMinute(5), ratelimit.WithRefund(ratelimit.RefundStatus(100, 399)))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = limiter.Handler(http.NotFoundHandler())
	// Output:
}

// What a request cost is known when it has been served.
func ExampleLimiter_ChargeLater() {
	limiter, err := ratelimit.New(client(), ratelimit.PerHour(1_000_000))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = limiter.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens := 4711 // of a model
		limiter.ChargeLater(r, tokens)
	}))
	// Output:
}

// Your own network is not limited, another one gets 403.
func ExampleWithSkip() {
	resolver, err0 := clientip.New(clientip.Config{})
	own, err1 := resolver.Within(netip.MustParsePrefix("10.0.0.0/8"))
	bad, err2 := resolver.Within(netip.MustParsePrefix("192.0.2.0/24"))
	limiter, err3 := ratelimit.New(client(), ratelimit.PerMinute(100), ratelimit.WithSkip(own))
	if err := errors.Join(err0, err1, err2, err3); err != nil {
		fmt.Println(err)
		return
	}
	_ = clientip.Deny(limiter.Handler(http.NotFoundHandler()), bad)
	// Output:
}

func client() *redis.Client { return redis.NewClient(&redis.Options{ContextTimeoutEnabled: true}) }

// What is known to have failed only later is given back where it was charged.
func ExampleLimiter_Refund() {
	limiter, err := ratelimit.New(client(), ratelimit.PerHour(100))
	if err != nil {
		fmt.Println(err)
		return
	}
	job := func(ctx context.Context, user string, run func() error) error {
		d, _ := limiter.AllowN(ctx, user, 10) // the decision holds also without Redis
		if !d.Allowed {
			return errors.New("too many jobs")
		}
		if err := run(); err != nil {
			return errors.Join(err, limiter.Refund(ctx, user, d, 10))
		}
		return nil
	}
	_ = job
	// Output:
}
