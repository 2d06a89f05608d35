package idempotency

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

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/unavailable"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// Client is what a [Keeper] needs of a go-redis client: *redis.Client,
// *redis.ClusterClient, *redis.Ring and redis.UniversalClient have it. The
// Keeper never closes it.
type Client interface {
	bounded.Client
	Pipeline() redis.Pipeliner
}

// Keeper runs each operation once and keeps its result. Create one and share it
// by all handlers: the path is part of each record. It is safe for concurrent
// use; close it before its locks.
type Keeper struct {
	config
	locks    *lockmw.Locker
	store    *store
	scope    ScopeFunc
	instance string // 128 random bits; owners are instance:counter
	counter  atomic.Uint64

	mu     sync.Mutex
	closed bool
	quit   chan struct{} // closed when what is recorded late is given up
	stop   sync.Once
	late   sync.WaitGroup // what is recorded late
}

// New returns a Keeper whose records are in rdb and whose running requests hold
// locks of locks, which may be used for other things too. scope names the user
// that a request belongs to; there is no default, because users must not get
// each other's responses. New does not dial, so it succeeds while Redis is
// down. All mistakes are reported at once, as joined [*OptionError]: nil
// arguments are among them.
func New(locks *lockmw.Locker, rdb Client, scope ScopeFunc, opts ...Option) (*Keeper, error) {
	k := &Keeper{config: defaults(), locks: locks, scope: scope, instance: rand.Text(), quit: make(chan struct{})}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&k.config)
		}
	}
	if err := k.validate(locks != nil, !bounded.IsNil(rdb), scope != nil); err != nil {
		return nil, err
	}
	k.store = newStore(rdb, k.timeout)
	k.store.caller.Watch(k.logger)
	return k, nil
}

// Operation is something to be done once, for [Keeper.Begin]. Scope, Name and
// Key together identify it; they are hashed, so they may be of any length and
// content.
type Operation struct {
	Scope string // whose it is: a user; never empty
	Name  string // what it is: of a request, its method and path
	Key   string // which one: chosen by the client; never empty
	// Fingerprint is a hash of what must be the same whenever the operation is
	// asked for.
	Fingerprint [sha256.Size]byte
}

// id returns the record's key. What a client may have chosen is hashed.
func (k *Keeper) id(op Operation) string {
	sum := sha256.Sum256([]byte(lockmw.Join(op.Scope, op.Name, op.Key)))
	return k.prefix + ":v1:" + k.name + ":{" + hex.EncodeToString(sum[:16]) + "}"
}

// Begin decides about an operation. It returns one of three: a [Run], and the
// caller does the operation and releases it; what was kept of the operation
// when it was done, which may be empty; or an error, and nothing is to be done.
// It does not wait for an operation that runs. One that was done costs a round
// trip, a new one four more until its end: to acquire and release the lock, and
// to begin and end the record.
//
// The errors match [ErrMismatch], [ErrUnknown], [ErrNotKept], [lockmw.ErrBusy]
// while it is being done, [ErrUnavailable], [lockmw.ErrClosed],
// [lockmw.ErrNested] or [ErrIncomplete]. The run's context descends from ctx:
// pass one that does not end with the client, or the run may end when the
// client disconnects.
func (k *Keeper) Begin(ctx context.Context, op Operation) (*Run, []byte, error) {
	run, kept, err := k.decide(ctx, op)
	switch {
	case err != nil:
		reason := reasonOf(err)
		if reason == reasonUnavailable || reason == reasonNoScope || reason == reasonMisused {
			k.failed(ctx, err)
		}
		k.refused(ctx, reason)
	case run == nil && k.hooks.Replayed != nil:
		k.hooks.Replayed(ctx)
	}
	return run, kept, err
}

// decide looks the record up, then acquires the lock, then begins the record.
func (k *Keeper) decide(ctx context.Context, op Operation) (*Run, []byte, error) {
	if op.Scope == "" || op.Key == "" {
		return nil, nil, ErrIncomplete
	}
	if k.isClosed() {
		return nil, nil, lockmw.ErrClosed
	}
	id := k.id(op)
	rec, err := k.store.look(ctx, id)
	if err != nil {
		return nil, nil, failure("lookup", err)
	}
	kept, err := rec.verdict(op)
	if err != nil || rec.state == stateKept {
		return nil, kept, err
	}
	lock, err := k.locks.TryAcquire(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	r := &Run{k: k, op: op, id: id, lock: lock, owner: k.instance + ":" + strconv.FormatUint(k.counter.Add(1), 36), attempt: Attempt{Fence: lock.Fence()}}
	rec, err = r.begin()
	if err == nil && rec.state == stateBegun && rec.mine {
		return r, nil, nil
	}
	defer r.releaseUnlessLate()
	switch {
	case err != nil:
		return nil, nil, failure("begin", err)
	case rec.state == stateStale: // it has lost the lock to another since
		return nil, nil, &lockerr.BusyError{RetryAfter: time.Second}
	}
	if kept, err = rec.verdict(op); err == nil && rec.state != stateKept {
		err = ErrUnknown // the lock is free
	}
	return nil, kept, err
}

// ErrUnavailable is returned when Redis does not answer in time, cannot be
// reached or cannot serve now. It is the ErrUnavailable of every package of this
// module.
var ErrUnavailable = unavailable.Err

// failure is the error of a call to Redis.
func failure(what string, err error) error {
	return fmt.Errorf("idempotency: %s: %w: %w", what, ErrUnavailable, err)
}

// failed and refused call the hooks.
func (k *Keeper) failed(ctx context.Context, err error) {
	if k.hooks.Failed != nil {
		k.hooks.Failed(ctx, err)
	}
}

func (k *Keeper) refused(ctx context.Context, reason string) {
	if k.hooks.Refused != nil {
		k.hooks.Refused(ctx, reason)
	}
}

// isClosed reports whether Close was called.
func (k *Keeper) isClosed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed
}

// later runs fn in the background, which records something that Redis did not
// accept in time. It reports false if the keeper is closed.
func (k *Keeper) later(fn func()) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.late.Go(fn)
	return true
}

// Close rejects new operations with [lockmw.ErrClosed] and waits until ctx ends
// for results that are still to be recorded because Redis did not reply in
// time; then the error matches the context's. Runs may continue; what Redis
// does not accept then is not retried. Call it with a deadline, after the HTTP
// server has shut down. The client and the locks stay open.
func (k *Keeper) Close(ctx context.Context) error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	done := make(chan struct{})
	go func() {
		k.late.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("idempotency: close: results are not recorded: %w", context.Cause(ctx))
	}
	k.stop.Do(func() { close(k.quit) })
	<-done
	return err
}
