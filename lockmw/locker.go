package lockmw

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed" // for the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

var (
	//go:embed acquire.lua
	acquireSource string
	//go:embed renew.lua
	renewSource string
	//go:embed release.lua
	releaseSource string
)

// Locker hands out locks of one Redis deployment: a server, a sentinel group
// or a cluster. It is safe for concurrent use; Close it.
type Locker struct {
	config
	rdb      Client
	caller   *bounded.Caller
	acquire  *redis.Script
	renew    *redis.Script
	release  *redis.Script
	instance string // 128 random bits; owners are instance:counter
	counter  atomic.Uint64
	lines    lines
	wake     wake

	mu       sync.Mutex
	held     map[string]*Lock // by owner
	closed   bool
	idle     chan struct{} // closed when closed and nothing is held
	quit     chan struct{} // closed when closed
	cleaning sync.WaitGroup
}

// New returns a Locker over rdb. It does not dial and starts no goroutine; all
// mistakes are reported at once, as joined [*OptionError].
func New(rdb Client, opts ...Option) (*Locker, error) {
	l := &Locker{
		config: defaults(), rdb: rdb, instance: rand.Text(), held: map[string]*Lock{}, idle: make(chan struct{}), quit: make(chan struct{}),
		acquire: redis.NewScriptServerSHA(acquireSource), renew: redis.NewScriptServerSHA(renewSource), release: redis.NewScriptServerSHA(releaseSource),
	}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&l.config)
		}
	}
	hasClient := !bounded.IsNil(rdb)
	if err := l.validate(hasClient); err != nil {
		return nil, err
	}
	l.caller = bounded.New(rdb)
	l.wake.init(l)
	if !l.caller.HonorsDeadlines() {
		l.logger.Warn("the redis client ignores deadlines: set ContextTimeoutEnabled, each call costs a goroutine meanwhile")
	}
	return l, nil
}

// keys are the lock and its queue. What a client may have chosen is hashed.
func (l *Locker) keys(key string) []string {
	sum := sha256.Sum256([]byte(key))
	lock := l.prefix + ":v1:" + l.name + ":{" + hex.EncodeToString(sum[:16]) + "}"
	return []string{lock, lock + ":q"}
}

func (l *Locker) channel() string { return l.prefix + ":v1:" + l.name + ":wake:" + l.instance }

func (l *Locker) newOwner() string {
	return l.instance + ":" + strconv.FormatUint(l.counter.Add(1), 36)
}

// answer is the reply of acquire.lua.
type answer struct {
	granted, full bool
	fence         uint64
	left          time.Duration
}

func decodeAnswer(v any) (answer, error) {
	list, ok := v.([]any)
	if !ok || len(list) != 3 {
		return answer{}, fmt.Errorf("reply %T, want three values", v)
	}
	code, ok1 := list[0].(int64)
	left, ok2 := list[2].(int64)
	if !ok1 || !ok2 || left < 0 {
		return answer{}, errors.New("reply is not of numbers")
	}
	a := answer{granted: code == 1, full: code == -1, left: time.Duration(left) * time.Millisecond}
	if a.granted {
		text, _ := list[1].(string)
		fence, err := strconv.ParseUint(text, 10, 64)
		if err != nil || fence == 0 {
			return answer{}, errors.New("reply has no fence")
		}
		a.fence = fence
	}
	return a, nil
}

func (l *Locker) ask(ctx context.Context, keys []string, owner string, queue, queued bool) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, l.nodeTimeout)
	defer cancel()
	v, err := l.acquire.Run(ctx, l.caller, keys, owner, l.channel(), l.ttl.Milliseconds(), retention.Milliseconds(), bit(queue), l.maxWaiters, bit(queued)).Result()
	if err != nil {
		return answer{}, err
	}
	return decodeAnswer(v)
}

// undo gives up whatever owner may have: a place in the queue, or the lock
// after a reply that was lost. It is tried until a lease is over, in the
// background, because nobody waits for it any more.
func (l *Locker) undo(keys []string, owner string) {
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.cleaning.Go(func() { l.undoFor(keys, owner) })
	}
	l.mu.Unlock()
	if closed {
		_, _ = l.let(keys, owner, true)
	}
}

func (l *Locker) undoFor(keys []string, owner string) {
	until := time.Now().Add(l.ttl)
	for pause := 10 * time.Millisecond; time.Now().Before(until); pause *= 2 {
		if _, err := l.let(keys, owner, true); err == nil {
			return
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-l.quit:
			wait.Stop()
			_, _ = l.let(keys, owner, true)
			return
		}
	}
}

// let runs release.lua.
func (l *Locker) let(keys []string, owner string, leaving bool) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.nodeTimeout)
	defer cancel()
	return l.release.Run(ctx, l.caller, keys, owner, retention.Milliseconds(), grant.Milliseconds(), dead.Milliseconds(), bit(leaving)).Int64()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
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
			_ = k.Release(context.WithoutCancel(ctx))
		}
	}
	l.wake.stop()
	l.cleaning.Wait()
	return err
}
