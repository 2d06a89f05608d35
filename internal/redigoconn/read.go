package redigoconn

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// Read is a GET, and the key's time to live, that somebody else sends.
type Read struct {
	Key string
	get *goredis.StringCmd
	ttl *goredis.DurationCmd // nil if it is not read
}

// NewRead returns the read of a key, with its time to live if ttl is set.
func NewRead(ctx context.Context, key string, ttl bool) *Read {
	r := &Read{Key: key, get: goredis.NewStringCmd(ctx, "get", key)}
	if ttl {
		r.ttl = goredis.NewDurationCmd(ctx, time.Millisecond, "pttl", key)
	}
	return r
}

// Commands returns the commands of the read, to be sent in this order.
func (r *Read) Commands() []goredis.Cmder {
	if r.ttl == nil {
		return []goredis.Cmder{r.get}
	}
	return []goredis.Cmder{r.get, r.ttl}
}

// HasTTL reports whether the time to live is read, too.
func (r *Read) HasTTL() bool { return r.ttl != nil }

// of reports whether cmds is the command of the read.
func (r *Read) of(cmds []command) bool {
	return r != nil && len(cmds) == 1 && cmds[0].name == "GET" && len(cmds[0].args) == 1 && text(cmds[0].args[0]) == r.Key
}

// Reply has the next GET of the key replied with what r has read, which must have
// its replies. It is in force until Unbind.
func (c *Conn) Reply(r *Read) { c.reply = r }

// runRead replies to a GET without a round trip.
func (c *Conn) runRead(cmd command) error {
	if c.reply.ttl != nil {
		c.ttl = c.reply.ttl.Val()
	}
	reply, err := result(cmd, c.reply.get)
	if err != nil {
		return err
	}
	c.replies = append(c.replies, reply)
	return nil
}

// Caller returns what the commands of the Dialer's connections are sent with.
func (d *Dialer) Caller() *bounded.Caller { return d.caller }
