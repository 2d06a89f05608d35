package redigoconn

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// Read is a GET, and the key's time to live, that another caller sends. It must not
// be copied.
type Read struct {
	get   *goredis.StringCmd
	ttl   *goredis.DurationCmd // nil if it is not read
	words [4]any
	cmds  [2]goredis.Cmder
}

// Of makes the read of a key, with its time to live if ttl is set.
func (r *Read) Of(ctx context.Context, key string, ttl bool) {
	r.words = [4]any{"get", key, "pttl"}
	r.get = goredis.NewStringCmd(ctx, r.words[:2:2]...)
	if ttl {
		r.words[3] = r.words[1]
		r.ttl = goredis.NewDurationCmd(ctx, time.Millisecond, r.words[2:]...)
	}
}

// Commands returns the commands of the read, to be sent in this order.
func (r *Read) Commands() []goredis.Cmder {
	r.cmds = [2]goredis.Cmder{r.get, r.ttl}
	if r.ttl == nil {
		return r.cmds[:1:1]
	}
	return r.cmds[:]
}

// HasTTL reports whether the time to live is read, too.
func (r *Read) HasTTL() bool { return r.ttl != nil }

// TTL returns the time to live, 0 if it is not read. It is negative if the key has
// none or does not exist.
func (r *Read) TTL() time.Duration {
	if r.ttl == nil {
		return 0
	}
	return r.ttl.Val()
}

// Value returns what redisstore's Find returns over a [Conn]. The commands must have
// their replies.
func (r *Read) Value() (b []byte, found bool, err error) {
	b, err = r.get.Bytes()
	switch {
	case err == nil:
		return b, true, nil
	case errors.Is(err, goredis.Nil):
		return nil, false, nil
	}
	return nil, false, wrapped("GET", err)
}

// Caller returns what the commands of the Dialer's connections are sent with.
func (d *Dialer) Caller() *bounded.Caller { return d.caller }
