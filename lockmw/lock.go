package lockmw

import (
	"context"
	"sync"
	"time"

	"github.com/redishttp/redishttp/lockmw/internal/lease"
	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// Lock is one held lock. It is renewed every third of its lease until it is
// released or lost. It is safe for concurrent use.
type Lock struct {
	l       *Locker
	key     string
	keys    []string
	grant   grant
	parent  context.Context
	ctx     context.Context
	cancel  context.CancelCauseFunc
	started time.Time

	renewing sync.Mutex // held during a renewal; Release waits for it

	mu       sync.Mutex
	since    time.Time   // when the call that granted or last renewed it was sent
	written  written     // by that call
	renewal  *time.Timer // the next one
	expiry   *time.Timer // the end of the lease, from the first renewal on
	lost     *lockerr.LostError
	released bool
}

// grant is what a lock is granted with: by Redis, or by a holder of this process
// in a handoff. The zero grant grants nothing.
type grant struct {
	owner    string
	fence    uint64
	since    time.Time // when the lease was last set
	written  written   // then
	handoffs int       // how many holders of this process came before, in a row
	twice    bool      // see reply.twice
}

// newLock returns the Lock of a grant. It fails if the Locker was closed.
func (l *Locker) newLock(ctx context.Context, key string, keys []string, g grant) (*Lock, error) {
	k := &Lock{l: l, key: key, keys: keys, grant: g, parent: ctx, since: g.since, written: g.written, started: time.Now()}
	inner, cancel := context.WithCancelCause(context.WithValue(ctx, lockKey{}, k))
	k.ctx, k.cancel = lockContext{inner, k}, cancel
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		cancel(ErrClosed)
		return nil, ErrClosed
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.renewal = time.AfterFunc(max(l.ttl/3-time.Since(g.since), 0), k.renew)
	l.held[g.owner] = k
	if !l.isShared() {
		l.local[key] = k
	}
	return k, nil
}

// Context returns a context that ends when the lock is lost, before another can
// hold it, with a cause that matches [ErrLost]; when the lock is released; and
// with the context it was acquired under. Its Err is exact at any moment, also
// right after the process was suspended.
func (k *Lock) Context() context.Context { return k.ctx }

// Fence returns a number that grows from each holder of a key to the next. Store
// it with what the lock protects and refuse writes with a smaller one: that is
// safe even where a lock is not, after a failover or a pause.
func (k *Lock) Fence() uint64 { return k.grant.fence }

// Valid returns how long the lock is certainly held if it is not renewed. It is
// negative after that.
func (k *Lock) Valid() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.valid()
}

// valid is Valid; k.mu is held.
func (k *Lock) valid() time.Duration { return lease.Left(k.l.ttl, k.since, time.Now()) }

func (k *Lock) isReleased() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.released
}

// lockContext is the context of a lock. It does not wait for a timer to notice
// the end of the lease: a process that was suspended looks before the timer runs.
type lockContext struct {
	context.Context

	k *Lock
}

// Err implements [context.Context].
func (c lockContext) Err() error {
	err := c.Context.Err()
	if err != nil {
		return err
	}
	if lost := c.k.lostError(); lost != nil {
		c.k.cancel(lost) // the goroutine that noticed first may not have done it yet
		err = c.Context.Err()
	}
	return err
}

type lockKey struct{}

// FromContext returns the innermost lock that the request holds.
func FromContext(ctx context.Context) (*Lock, bool) {
	k, ok := ctx.Value(lockKey{}).(*Lock)
	return k, ok
}

// isHeldBy reports whether the chain of calls that ctx belongs to holds the lock
// of key.
func (l *Locker) isHeldBy(ctx context.Context, key string) bool {
	for k, ok := FromContext(ctx); ok; k, ok = FromContext(k.parent) {
		if k.l == l && k.key == key && !k.isReleased() {
			return true
		}
	}
	return false
}
