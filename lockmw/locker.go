package lockmw

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// Locker hands out locks of one Redis deployment: a server, a sentinel group or
// a cluster; or of several masters, see [NewRedlock]. It is safe for concurrent
// use. Close it.
type Locker struct {
	config

	rdb      Client // for wake-ups; nil for masters that vote
	store    store
	base     string // the first part of all keys
	lease    any    // ms, for scripts
	instance string // 128 random bits; an owner is <instance>:<counter>
	counter  atomic.Uint64
	waiters  waiterQueues
	wake     waker

	mu     sync.Mutex
	held   map[string]*Lock // by owner
	local  map[string]*Lock // by key: held by this process, for handoffs
	closed bool
	idle   chan struct{} // closed when closed and nothing is held
	quit   chan struct{} // closed when closed

	background sync.WaitGroup
	ended      bool // nothing is started in the background any more
}

// New returns a Locker over rdb. It does not dial and starts no goroutine. All
// mistakes are reported at once, as joined [*OptionError]. The caller closes rdb,
// after the Locker.
func New(rdb Client, opts ...Option) (*Locker, error) {
	l := newLocker(opts)
	check := l.check()
	check.That(!bounded.IsNil(rdb), "rdb", "is nil")
	if err := check.Err(); err != nil {
		return nil, err
	}
	n := newNode(l, rdb)
	l.rdb, l.store = rdb, n
	if l.isShared() {
		l.store = newShared(n)
	}
	return l, nil
}

// newLocker returns a Locker without a store, which depends on what it is over.
func newLocker(opts []Option) *Locker {
	l := &Locker{config: newConfig(opts), instance: rand.Text(), held: map[string]*Lock{}, local: map[string]*Lock{}, idle: make(chan struct{}), quit: make(chan struct{})}
	l.base = l.prefix + ":v1:" + l.name + ":"
	l.lease = l.ttl.Milliseconds()
	l.wake.init(l)
	return l
}

// newOwner returns the name of one attempt to hold a lock. Names are never reused,
// so a late release of one attempt cannot release another.
func (l *Locker) newOwner() string {
	return l.instance + ":" + strconv.FormatUint(l.counter.Add(1), 36)
}

// inBackground runs fn in a goroutine that Close waits for. It reports false,
// and does not run fn, if Close no longer does.
func (l *Locker) inBackground(fn func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.background.Go(fn)
	return true
}

// isClosed reports whether Close was called.
func (l *Locker) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// Close refuses new locks and waits until those that are held are released. When
// ctx ends first, it gives up the others, whose contexts end with [ErrLost], and
// returns an error. Then it stops all goroutines. The client stays open. Call it
// after the server has shut down.
func (l *Locker) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.quit)
		if len(l.held) == 0 {
			close(l.idle)
		}
	}
	l.mu.Unlock()
	var err error
	select {
	case <-l.idle:
	case <-ctx.Done():
		err = fmt.Errorf("lockmw: close: locks are still held: %w", context.Cause(ctx))
		for _, k := range l.allHeld() {
			k.lose(lockerr.ErrLockerClosed)
			l.inBackground(func() { _ = k.Release(ctx) })
		}
	}
	l.inBackground(l.wake.stop)
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.background.Wait()
	l.store.close()
	return err
}

// allHeld returns a copy, because losing a lock changes the map.
func (l *Locker) allHeld() []*Lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Lock, 0, len(l.held))
	for _, k := range l.held {
		all = append(all, k)
	}
	return all
}
