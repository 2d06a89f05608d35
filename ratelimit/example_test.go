package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/ratelimit"
)

func Example() {
	conn, err := connect.Open("default", "embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	limiter, err := ratelimit.New(conn.Client(), redis_rate.PerMinute(2))
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
	behindProxies, err := ratelimit.ClientIP(ratelimit.IP{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter, err := ratelimit.New(rdb, redis_rate.PerMinute(100), ratelimit.WithKey(behindProxies), ratelimit.WithOnUnavailable(ratelimit.Closed))
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	http.ListenAndServe(":8080", limiter.Handler(mux))
}

// A header that anybody can send is no identity: each request can name a new
// address and is never limited. Use [ratelimit.ClientIP].
func ExampleWithKey_incorrect() {
	_ = ratelimit.WithKey(func(r *http.Request) (string, error) { return r.Header.Get("X-Forwarded-For"), nil })
}

func ExampleNew_mistakes() {
	_, err := ratelimit.New(nil, redis_rate.PerMinute(0), ratelimit.WithTimeout(0))
	fmt.Println(err)
	// Output:
	// ratelimit: limit: rate 0 is not above 0
	// ratelimit: rdb: is nil
	// ratelimit: WithTimeout: 0s is not above 0
}

func ExampleWithEngine() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	limiter, err := ratelimit.New(nil, redis_rate.PerMinute(100), ratelimit.WithEngine(redis_rate.NewLimiter(rdb)))
	_, _ = limiter, err
}
