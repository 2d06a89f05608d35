package lockmw

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
)

// Locker hands out locks of one Redis deployment: a server, a sentinel group
// or a cluster. It is safe for concurrent use; Close it.
type Locker struct {
	config
	rdb      Client // for wake-ups; nil for masters that vote
	store    store
	base     string // the first part of every key
	wakeBase string // and of wake-up channels, which end with the instance
	lease    any    // in ms, for scripts
	instance string // 128 random bits; owners are instance:counter
	counter  atomic.Uint64
	lines    lines
	wake     wake

	mu       sync.Mutex
	held     map[string]*Lock // by owner
	local    map[string]*Lock // by key: held by this process, for handover.go
	closed   bool
	idle     chan struct{} // closed when closed and nothing is held
	quit     chan struct{} // closed when closed
	over     bool          // nothing is begun in the background any more
	cleaning sync.WaitGroup
}

// New returns a Locker over rdb. It does not dial and starts no goroutine; all
// mistakes are reported at once, as joined [*OptionError].
func New(rdb Client, opts ...Option) (*Locker, error) {
	l := newLocker(opts)
	hasClient := !bounded.IsNil(rdb)
	if err := l.validate(hasClient); err != nil {
		return nil, err
	}
	n := newNode(l, rdb)
	l.rdb, l.store = rdb, n
	if l.several() {
		l.store = newShared(n)
	}
	return l, nil
}

func newLocker(opts []Option) *Locker {
	l := &Locker{config: defaults(), instance: rand.Text(), held: map[string]*Lock{}, local: map[string]*Lock{}, idle: make(chan struct{}), quit: make(chan struct{})}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&l.config)
		}
	}
	l.base = l.prefix + ":v1:" + l.name + ":"
	l.wakeBase = l.base + "wake:"
	l.lease = l.ttl.Milliseconds()
	l.wake.init(l)
	return l
}

// keys are the lock, its queue and its polls, beginnings of one string. What a
// client may have chosen is hashed.
func (l *Locker) keys(key string) []string {
	sum := sha256.Sum256([]byte(key))
	b := make([]byte, 0, 128)
	b = append(b, l.base...)
	b = append(b, '{')
	b = hex.AppendEncode(b, sum[:16])
	return keysWith(string(append(b, "}:qp"...)))
}

// keysWith are the keys of the lock whose polls are polls.
func keysWith(polls string) []string {
	return []string{polls[:len(polls)-3], polls[:len(polls)-1], polls}
}

func (l *Locker) newOwner() string {
	return l.instance + ":" + strconv.FormatUint(l.counter.Add(1), 36)
}

// undo gives up whatever owner may have: a place in the queue, or the lock
// after a reply that was lost. It is tried until a lease is over, in the
// background, because nobody waits for it any more.
func (l *Locker) undo(keys []string, owner string) { l.undoInBackground(keys, owner, false) }

// undoUnanswered is undo after a call without an answer. It may reach Redis
// later than what takes it back, which is therefore sent once more.
func (l *Locker) undoUnanswered(keys []string, owner string) { l.undoInBackground(keys, owner, true) }

func (l *Locker) undoInBackground(keys []string, owner string, again bool) {
	undo := func() { l.undoFor(keys, owner, again) }
	if !l.inBackground(undo) {
		undo()
	}
}

// inBackground runs fn beside what goes on, for Close to wait for. It is false
// if it does not, because Close waits already.
func (l *Locker) inBackground(fn func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.cleaning.Go(fn)
	return true
}

// maxUndoPause is short: after an outage a lock that nobody holds is soon free.
const maxUndoPause = 250 * time.Millisecond

func (l *Locker) undoFor(keys []string, owner string, again bool) {
	until := time.Now().Add(l.ttl)
	for pause := 10 * time.Millisecond; time.Now().Before(until); pause = min(2*pause, maxUndoPause) {
		begun := time.Now()
		if _, err := l.let(keys, owner); err == nil || isMistake(err) {
			if !again {
				return
			}
			again, pause = false, maxUndoPause
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-l.quit:
			wait.Stop()
			if time.Since(begun) < l.nodeTimeout/2 { // it may answer
				_, _ = l.let(keys, owner)
			}
			return
		}
	}
}

func (l *Locker) let(keys []string, owner string) (int64, error) {
	return l.store.let(context.Background(), keys, owner, true)
}

func (l *Locker) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// Close refuses new locks, waits until those held are released or ctx ends,
// gives up the rest (their contexts end with [ErrLost]) and stops all
// goroutines. The client stays open.
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
		err = fmt.Errorf("lockmw: close: locks still held: %w", context.Cause(ctx))
		l.mu.Lock()
		left := make([]*Lock, 0, len(l.held))
		for _, k := range l.held {
			left = append(left, k)
		}
		l.mu.Unlock()
		for _, k := range left {
			k.lose(LockerClose)
			l.inBackground(func() { _ = k.Release(context.WithoutCancel(ctx)) })
		}
	}
	l.inBackground(l.wake.stop)
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.cleaning.Wait()
	l.store.wait()
	return err
}
