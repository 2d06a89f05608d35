package cache_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
)

// Every method that calls Redis returns an error that matches ErrUnavailable
// when Redis is away, with a plain go-redis client too, whether the call failed
// or the breaker left it out.
func TestErrorsMatchErrUnavailable(t *testing.T) {
	r := httptest.NewRequest("GET", "http://example.com/a", nil)
	calls := map[string]func(ctx context.Context, c *cache.Cache) error{
		"Lookup": func(ctx context.Context, c *cache.Cache) error {
			_, _, err := c.Lookup(ctx, r)
			return err
		},
		"Explain": func(ctx context.Context, c *cache.Cache) error {
			_, err := c.Explain(ctx, r)
			return err
		},
		"Purge":         func(ctx context.Context, c *cache.Cache) error { return c.Purge(ctx, "http://example.com/a") },
		"SoftPurge":     func(ctx context.Context, c *cache.Cache) error { return c.SoftPurge(ctx, "http://example.com/a") },
		"PurgeTags":     func(ctx context.Context, c *cache.Cache) error { return c.PurgeTags(ctx, "a", "b") },
		"SoftPurgeTags": func(ctx context.Context, c *cache.Cache) error { return c.SoftPurgeTags(ctx, "a") },
		"PurgeAll":      func(ctx context.Context, c *cache.Cache) error { return c.PurgeAll(ctx) },
	}
	dials := map[string]func(ctx context.Context, network, addr string) (net.Conn, error){
		"refused": func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		},
		"silent": func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { _ = theirs.Close() })
			return ours, nil
		},
	}
	for kind, dial := range dials {
		for name, call := range calls {
			t.Run(kind+"/"+name, func(t *testing.T) {
				rdb := redis.NewClient(&redis.Options{Addr: "redis.invalid:6379", MaxRetries: -1, Dialer: dial, DialerRetries: 1})
				t.Cleanup(func() { _ = rdb.Close() })
				c, err := cache.New(rdb, cache.WithTimeouts(20*time.Millisecond, 20*time.Millisecond))
				if err != nil {
					t.Fatal(err)
				}
				for n := range 12 { // past the point at which the breaker opens
					err := call(t.Context(), c)
					if !errors.Is(err, cache.ErrUnavailable) {
						t.Fatalf("call %d: %v does not match ErrUnavailable", n, err)
					}
					if strings.Count(err.Error(), "cache:") != 1 {
						t.Fatalf("call %d: %q is not prefixed once", n, err)
					}
				}
			})
		}
	}
}
