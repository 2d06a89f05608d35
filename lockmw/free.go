package lockmw

import (
	"context"
	"errors"

	"github.com/redishttp/redishttp/internal/bounded"
)

// release releases the lock. Most have no waiters and need one key, see releaseAlone.
// Only where there may be waiters release.lua follows, which needs the queue, too; a lock
// that is known to have had waiters goes there directly.
func (n *node) release(ctx context.Context, keys []string, h holding) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, n.l.timeout)
	defer cancel()
	twice := false
	if !h.leave && !h.written.waiters {
		o, again, err := n.releaseAlone(ctx, keys[:1], h)
		if err != nil || o != undecided {
			return o, err
		}
		twice = again
	}
	return n.call(n.scripts.release, keys, h.args()...).release(ctx, twice)
}

// releaseAlone releases a lock without waiters: by SET … IFEQ if the last reply
// told the string that Redis has, and where the server lacks that by free.lua. Else it
// is undecided.
func (n *node) releaseAlone(ctx context.Context, keys []string, h holding) (o outcome, twice bool, err error) {
	if h.written.at != 0 {
		c := n.swap(keys[0], h)
		o, err = c.release(ctx, false)
		if err != nil || o != unsupported {
			return o, c.twice, err
		}
		twice = c.twice
	}
	c := n.call(n.scripts.free, keys, h.owner)
	o, err = c.release(ctx, twice)
	return o, twice || c.twice, err
}

// swap returns a call of SET … IFEQ, with the reply of a script.
func (n *node) swap(key string, h holding) *call {
	swap := bounded.Swap{Key: key, Old: heldValue(h, n.l.ttl), New: freeValue(h.fence), Expiry: "PX", At: retention.Milliseconds()}
	return &call{n: n, send: func(ctx context.Context) ([]int64, error) {
		o := undecided
		done, err := n.caller.SetIfEqual(ctx, swap)
		switch {
		case errors.Is(err, bounded.ErrNoIFEQ):
			o, err = unsupported, nil
		case done:
			o = succeeded
		}
		return []int64{int64(o)}, err
	}}
}

// release makes a call of a release, in a context with a deadline. If it was sent twice, or one before it was, the
// first may have done it, and the last finds nothing to release.
func (c *call) release(ctx context.Context, twice bool) (outcome, error) {
	o, err := decodeOutcome(c.within(ctx))
	if err == nil && (twice || c.twice) && (o == otherOwner || o == stateGone) {
		o = succeeded
	}
	return o, err
}

// args are those of release.lua and share_release.lua.
func (h holding) args() []any {
	if h.leave {
		return []any{h.owner, 1}
	}
	return []any{h.owner}
}
