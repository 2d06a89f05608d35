package ratelimit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func TestEveryMistakeIsReported(t *testing.T) {
	_, err := ratelimit.New(nil, redis_rate.Limit{}, nil, ratelimit.WithName("a b"), ratelimit.WithKeyPrefix("{"), ratelimit.WithKey(nil),
		ratelimit.WithTimeout(0), ratelimit.WithFailureMode(9), ratelimit.WithLocalLimits(1, 0), ratelimit.WithLogger(nil))
	for _, option := range []string{"rdb", "limit", "WithName", "WithKeyPrefix", "WithKey", "WithTimeout", "WithFailureMode", "WithLocalLimits", "WithLogger"} {
		if err == nil || !strings.Contains(err.Error(), "ratelimit: "+option+": ") {
			t.Errorf("%s is not reported in:\n%v", option, err)
		}
	}
	if _, ok := errors.AsType[*ratelimit.OptionError](err); !ok {
		t.Errorf("%T holds no *OptionError", err)
	}
	var none *redis.Client
	if _, err := ratelimit.New(none, redis_rate.PerSecond(1)); err == nil {
		t.Error("a nil *redis.Client is accepted")
	}
}

func TestLimits(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, bad := range []redis_rate.Limit{
		{},
		{Rate: 1, Burst: 1},
		{Rate: 0, Burst: 1, Period: time.Second},
		{Rate: 1, Burst: 0, Period: time.Second},
		{Rate: -1, Burst: 1, Period: time.Second},
		{Rate: 1, Burst: 1, Period: time.Microsecond},
		{Rate: 1, Burst: 1, Period: time.Second + 1},
		{Rate: 1, Burst: 1 << 40, Period: 24 * time.Hour},
	} {
		if _, err := ratelimit.New(rdb, bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	for _, good := range []redis_rate.Limit{redis_rate.PerSecond(1_000_000), {Rate: 1, Burst: 1, Period: 365 * 24 * time.Hour}, {Rate: 1, Burst: 1, Period: time.Millisecond}} {
		if _, err := ratelimit.New(rdb, good); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}
