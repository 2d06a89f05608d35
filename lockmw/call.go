package lockmw

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// call is one call of a script, within the node timeout.
type call struct {
	n      *node
	script *redis.Script
	keys   []string
	args   []any
	sent   time.Time // the first time
	again  bool      // it was sent twice
}

func (c *call) once(ctx context.Context) ([]int64, error) {
	v, err := c.n.caller.Ints(ctx, c.script, c.keys, c.args...)
	return v, diagnose(err)
}

// redial is how often a server that restarts is asked for a connection.
const redial = 10 * time.Millisecond

// idempotent is for a script that may run twice for one owner. A connection that
// breaks leaves open whether it ran, so it is sent once more while there is time,
// and what the second call says holds. What cannot be sent, because the server
// is restarting, is tried until the time is up. A server that was down before, or
// hangs, is not asked again.
func (c *call) idempotent(ctx context.Context) ([]int64, error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.n.l.nodeTimeout)
	defer cancel()
	v, err := c.once(ctx)
	if err == nil || !isOpen(err) || time.Since(begun) > c.n.l.nodeTimeout/2 {
		return v, err
	}
	c.again = true
	for {
		v, second := c.once(ctx)
		if second == nil || !isUnsent(second) {
			return v, second
		}
		pause := time.NewTimer(redial)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, errors.Join(err, second)
		}
	}
}

// isOpen reports whether a call that failed may have run.
func isOpen(err error) bool {
	var answer redis.Error
	return !errors.As(err, &answer) && !isUnsent(err)
}

// isUnsent reports whether there was no connection to send a call on.
func isUnsent(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}
