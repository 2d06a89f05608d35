package lockmw

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// call is one call of a script, or of a command with the reply of one.
type call struct {
	n     *node
	send  func(ctx context.Context) ([]int64, error)
	twice bool // it was sent twice
}

// call returns a call of a script.
func (n *node) call(script *redis.Script, keys []string, args ...any) *call {
	return &call{n: n, send: func(ctx context.Context) ([]int64, error) {
		return n.caller.Ints(ctx, script, keys, args...)
	}}
}

// once sends the call, once.
func (c *call) once(ctx context.Context) ([]int64, error) {
	v, err := c.send(ctx)
	return v, diagnose(err)
}

// redialPause is the time between attempts to connect to a restarting server.
const redialPause = 10 * time.Millisecond

// repeatable is for what may run twice for one owner. A connection that
// breaks leaves open whether the script ran, so it is sent once more while there
// is time, and the second reply holds. What cannot be sent, because the server is
// restarting, is tried until the timeout. A server that was down before, or hangs,
// gets no second call.
func (c *call) repeatable(ctx context.Context) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.n.l.timeout)
	defer cancel()
	return c.within(ctx)
}

// within is repeatable in a context with a deadline.
func (c *call) within(ctx context.Context) ([]int64, error) {
	started := time.Now()
	v, err := c.once(ctx)
	if err == nil || !mayHaveRun(err) || time.Since(started) > c.n.l.timeout/2 {
		return v, err
	}
	c.twice = true
	for {
		v, second := c.once(ctx)
		if second == nil || !isUnsent(second) {
			return v, second
		}
		pause := time.NewTimer(redialPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, errors.Join(err, second)
		}
	}
}
