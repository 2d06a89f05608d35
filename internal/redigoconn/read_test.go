package redigoconn_test

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gomodule/redigo/redis"

	"github.com/redishttp/redishttp/internal/redigoconn"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A read that somebody else has sent replies to the next GET of its key as Redis would,
// and to no other command.
func TestRepliesOfAnotherCall(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	d, err := redigoconn.NewDialer(rdb, false)
	redistest.NoErrors(t, err)
	redistest.NoErrors(t,
		rdb.Set(t.Context(), prefix+"a", "one", time.Minute).Err(),
		rdb.Set(t.Context(), prefix+"b", "two", 0).Err(),
		rdb.LPush(t.Context(), prefix+"list", "x").Err())
	for _, tc := range []struct {
		key     string
		want    string
		nothing bool
		wrong   bool
	}{{key: prefix + "a", want: "one"}, {key: prefix + "b", want: "two"}, {key: prefix + "none", nothing: true}, {key: prefix + "list", wrong: true}} {
		for _, ttl := range []bool{true, false} {
			r := redigoconn.NewRead(t.Context(), tc.key, ttl)
			if r.HasTTL() != ttl || len(r.Commands()) != map[bool]int{true: 2, false: 1}[ttl] {
				t.Fatalf("%s: the read has %v", tc.key, r.Commands())
			}
			_, _ = rdb.Pipelined(t.Context(), func(p goredis.Pipeliner) error { return p.BatchProcess(t.Context(), r.Commands()...) })
			ahead, direct := d.Conn(), d.Conn()
			for _, c := range []*redigoconn.Conn{ahead, direct} {
				c.Bind(t.Context())
				c.TrackTTL(ttl)
			}
			ahead.Reply(r)
			count := redistest.Count(rdb)
			got, gotErr := redis.String(ahead.Do("GET", tc.key))
			if count.Trips() != 0 {
				t.Errorf("%s: %d round trips", tc.key, count.Trips())
			}
			want, wantErr := redis.String(direct.Do("GET", tc.key))
			if got != want || got != tc.want || (gotErr == nil) != (wantErr == nil) || gotErr != nil && gotErr.Error() != wantErr.Error() {
				t.Errorf("%s: got %q, %v; Redis replies %q, %v", tc.key, got, gotErr, want, wantErr)
			}
			if (gotErr == redis.ErrNil) != tc.nothing { //nolint:errorlint // as redigo has it
				t.Errorf("%s: %v", tc.key, gotErr)
			}
			if a, b := ahead.TTL(), direct.TTL(); (a > 0) != (b > 0) || a-b > time.Second {
				t.Errorf("%s: TTL %v, of Redis %v", tc.key, a, b)
			}
		}
	}
}

// Another key, another command, and a connection that is used again are not replied.
func TestOtherCommandsAreSent(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	d, err := redigoconn.NewDialer(rdb, false)
	redistest.NoErrors(t, err)
	r := redigoconn.NewRead(t.Context(), prefix+"a", false)
	redistest.NoErrors(t, rdb.Set(t.Context(), prefix+"a", "old", time.Minute).Err())
	_, _ = rdb.Pipelined(t.Context(), func(p goredis.Pipeliner) error { return p.BatchProcess(t.Context(), r.Commands()...) })
	redistest.NoErrors(t, rdb.Set(t.Context(), prefix+"a", "new", time.Minute).Err(), rdb.Set(t.Context(), prefix+"b", "b", time.Minute).Err())
	c := d.Conn()
	c.Bind(t.Context())
	c.Reply(r)
	if got, err := redis.String(c.Do("GET", prefix+"b")); got != "b" {
		t.Errorf("another key: %q, %v", got, err)
	}
	if got, err := redis.Int(c.Do("STRLEN", prefix+"a")); got != 3 || err != nil {
		t.Errorf("another command: %d, %v", got, err)
	}
	if got, err := redis.String(c.Do("GET", prefix+"a")); got != "old" {
		t.Errorf("the read's: %q, %v", got, err)
	}
	c.Unbind()
	c.Bind(t.Context())
	if got, err := redis.String(c.Do("GET", prefix+"a")); got != "new" {
		t.Errorf("after Unbind: %q, %v", got, err)
	}
	if d.Caller() == nil {
		t.Error("no caller")
	}
}
