package lockmw

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrMode is a shared lock of a Locker whose locks are not shared; see
// [WithReadWrite].
var ErrMode = errors.New("lockmw: needs WithReadWrite")

// ErrPermits is returned when others hold the lock with another number of
// permits; see [WithPermits]. It matches [ErrSetup] and [ErrUnavailable].
var ErrPermits = fmt.Errorf("%w: held with a different number of permits%w", ErrSetup, silent{ErrUnavailable})

// silent is an error that is matched and not printed.
type silent struct{ error }

func (silent) Error() string { return "" }

func (s silent) Unwrap() error { return s.error }

// WithReadWrite(true) lets readers share a lock that a writer has to itself:
// [Locker.AcquireShared] and, in Handler, the methods GET, HEAD, OPTIONS and TRACE are
// readers, all else are writers. Both queue in order of arrival, so a writer is not starved. The
// fence of a reader is that of the last writer. The default is false.
func WithReadWrite(on bool) Option { return optionFunc(func(c *config) { c.readWrite = on }) }

// WithPermits lets n hold a lock at a time, over all instances, which must
// agree on n: a semaphore. A permit whose holder died returns with the end of its lease. Its
// fence tells holders apart but does not exclude the one before. The default is 1: a lock.
func WithPermits(n int) Option { return optionFunc(func(c *config) { c.permits = n }) }

// AcquireShared is [Locker.Acquire] for a reader; it needs [WithReadWrite].
func (l *Locker) AcquireShared(ctx context.Context, key string) (*Lock, error) {
	return l.read(ctx, key, true)
}

// TryAcquireShared is [Locker.TryAcquire] for a reader; it needs
// [WithReadWrite].
func (l *Locker) TryAcquireShared(ctx context.Context, key string) (*Lock, error) {
	return l.read(ctx, key, false)
}

func (l *Locker) read(ctx context.Context, key string, wait bool) (*Lock, error) {
	if !l.readWrite {
		return nil, ErrMode
	}
	return l.take(ctx, key, time.Time{}, wait, true)
}

var (
	//go:embed share.lua
	shareSource string
	//go:embed share_renew.lua
	shareRenewSource string
	//go:embed share_release.lua
	shareReleaseSource string
	//go:embed share_inspect.lua
	shareInspectSource string
	//go:embed share_force.lua
	shareForceSource string
)

// shared is one deployment whose locks several may hold.
type shared struct {
	*node
	share, extend, release, inspect, force *redis.Script
}

func newShared(n *node) *shared {
	return &shared{n, redis.NewScriptServerSHA(shareSource), redis.NewScriptServerSHA(shareRenewSource), redis.NewScriptServerSHA(shareReleaseSource),
		redis.NewScriptServerSHA(shareInspectSource), redis.NewScriptServerSHA(shareForceSource)}
}

// sharedKeys are the holders, the queue, its polls and the state.
func sharedKeys(keys []string) []string {
	return []string{keys[0] + ":p", keys[1], keys[2], keys[0] + ":m"}
}

func (s *shared) ask(ctx context.Context, keys []string, owner string, q query) (answer, error) {
	l, kind, mode := s.l, "w", 0
	if q.share || l.permits > 1 {
		kind = "s"
	}
	permits := l.permits
	if l.readWrite {
		permits = 0
	}
	if q.queue {
		mode = 1
	}
	return s.run(ctx, s.share, sharedKeys(keys), owner, l.lease, kind, permits, mode, l.maxWaiters, s.clock.expect(time.Now(), l.ttl), l.tolerance().Milliseconds())
}

func (s *shared) renew(ctx context.Context, keys []string, owner string) (int64, error) {
	return s.surely(ctx, s.extend, sharedKeys(keys), owner, s.l.lease)
}

func (s *shared) let(ctx context.Context, keys []string, owner string, leaving bool) (int64, error) {
	return s.giveUp(ctx, s.release, sharedKeys(keys), owner, leaving)
}

func (s *shared) look(ctx context.Context, keys []string) (any, error) {
	return s.words(ctx, s.inspect, sharedKeys(keys))
}

func (s *shared) take(ctx context.Context, keys []string, owner string) (int64, error) {
	return s.code(ctx, s.force, sharedKeys(keys), owner)
}
