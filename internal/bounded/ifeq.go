package bounded

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrNoIFEQ is returned by [Caller.SetIfEqual] where the server lacks SET … IFEQ.
// Nothing was written.
var ErrNoIFEQ = errors.New("the server lacks SET … IFEQ")

// ifeqPause is for how long the servers of a client are taken to lack SET … IFEQ
// after one has rejected it.
const ifeqPause = 10 * time.Minute

// Swap is a value to be written in place of another.
type Swap struct {
	Key      string
	Old, New any
	Expiry   string // PX or PXAT
	At       any    // its argument
}

// SetIfEqual writes a value if the key has the old one, by SET … IFEQ, sent once. It
// reports false if the key has another value, or none.
//
// Valkey has the command from 8.1 on, Redis from 8.4. Versions do not tell, since
// Valkey reports that of a Redis and a cluster can have nodes of several. So it is
// tried, and a syntax error is the answer: ErrNoIFEQ is then returned for ten minutes,
// after which one call tries it again.
func (c *Caller) SetIfEqual(ctx context.Context, s Swap) (done bool, err error) {
	began := time.Now()
	until := c.withoutIFEQ.Load()
	if until != 0 && (began.UnixNano() < until || !c.withoutIFEQ.CompareAndSwap(until, began.Add(ifeqPause).UnixNano())) {
		return false, ErrNoIFEQ
	}
	cmd := redis.NewCmd(ctx, "set", s.Key, s.New, s.Expiry, s.At, "IFEQ", s.Old)
	if c.honors && ctx.Err() == nil { // without a closure, as in Ints
		err = c.swap(ctx, cmd)
		c.rights.See(ctx, err)
	} else {
		err = c.Do(ctx, func(ctx context.Context) error { return c.swap(ctx, cmd) })
	}
	switch {
	case errors.Is(err, ErrNoIFEQ):
		c.withoutIFEQ.Store(began.Add(ifeqPause).UnixNano())
	case until != 0:
		c.withoutIFEQ.Store(0)
	}
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// swap sends a SET … IFEQ. What lacks it has not refused a call: that would be logged.
func (c *Caller) swap(ctx context.Context, cmd *redis.Cmd) error {
	err := c.rdb.Process(ctx, onceCmd{cmd})
	if redis.HasErrorPrefix(err, "syntax error") {
		return ErrNoIFEQ
	}
	return err
}
