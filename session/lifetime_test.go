package session_test

import (
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// Browsers keep no cookie for longer than 400 days, so no session lasts longer.
func TestTheLongestLifetime(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for lifetime, ok := range map[time.Duration]bool{
		31 * 24 * time.Hour: true, 400 * 24 * time.Hour: true, 400*24*time.Hour + 1: false, time.Microsecond: false,
	} {
		if _, err := session.New(rdb, session.WithLifetime(lifetime), session.WithIdleTimeout(min(lifetime, time.Hour))); (err == nil) != ok {
			t.Errorf("%v: %v", lifetime, err)
		}
	}
}
