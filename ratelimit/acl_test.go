package ratelimit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// A right that the ACL does not give is an error, whichever it is and wherever
// in a script; with the right given it counts as ever. What was counted stays.
func TestAMissingRightIsAnError(t *testing.T) {
	s := redistest.NewServer(t, redistest.WithACL("app", "secret"))
	rdb := s.Client(t)
	grant := func(rule string) {
		t.Helper()
		if err := rdb.Do(t.Context(), "acl", "setuser", "app", rule).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		limits []ratelimit.Limit
		rights string
	}{
		"bucket":  {[]ratelimit.Limit{named("g", redis_rate.PerHour(2))}, "time get set"},
		"buckets": {[]ratelimit.Limit{named("g", redis_rate.PerHour(2)), named("h", redis_rate.PerHour(3))}, "time hmget pttl pexpire hset"},
		"all":     {[]ratelimit.Limit{named("g", redis_rate.PerHour(2)), ratelimit.Window(3, time.Hour), ratelimit.Concurrency(3)}, "time hmget pttl hset"},
		"window":  {[]ratelimit.Limit{ratelimit.Window(2, time.Hour)}, "time hgetall hincrby pexpire"},
		"places":  {[]ratelimit.Limit{ratelimit.Concurrency(2)}, "time type zremrangebyscore zcard zadd pexpire zscore zrangebyscore"},
	} {
		t.Run(name, func(t *testing.T) {
			for right := range strings.FieldsSeq(tc.rights) {
				l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithLimits(tc.limits...), ratelimit.WithDenyCache(0, 0), ratelimit.WithTimeout(patience))
				enter := func() (ratelimit.Decision, error) {
					d, _, err := l.Enter(t.Context(), "k", 1)
					return d, err
				}
				if d, err := enter(); err != nil || !d.Allowed {
					t.Fatalf("got %+v, %v", d, err)
				}
				grant("-" + right)
				if d, err := enter(); err == nil || d.Source != "local" {
					t.Errorf("without %s: got %+v, %v, want an error", right, d, err)
				}
				grant("+" + right)
				for i := range 2 {
					if d, err := enter(); err != nil || d.Allowed != (i == 0) {
						t.Errorf("with %s again, request %d: got %+v, %v", right, i, d, err)
					}
				}
			}
			if _, err := rdb.FlushDB(t.Context()).Result(); err != nil {
				t.Fatal(err)
			}
			grant("-pexpire")
			l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithLimits(tc.limits...), ratelimit.WithTimeout(patience))
			_, _, _ = l.Enter(t.Context(), "k", 1)
			grant("+pexpire")
			for _, key := range rdb.Keys(t.Context(), "*").Val() {
				if ttl := rdb.PTTL(t.Context(), key).Val(); ttl < 0 {
					t.Errorf("without pexpire a key is left for ever")
				}
			}
		})
	}
}
