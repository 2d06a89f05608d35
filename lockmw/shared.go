package lockmw

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// shared is one deployment whose locks several owners may hold.
type shared struct {
	*node

	scripts sharedScripts
}

// sharedScripts replace those of nodeScripts.
type sharedScripts struct{ acquire, renew, release, force *redis.Script }

// newShared returns the store of a Locker with readers and writers, or permits.
func newShared(n *node) *shared {
	return &shared{n, sharedScripts{
		acquire: newScript(shareSource), renew: newScript(shareRenewSource),
		release: newScript(shareReleaseSource), force: newScript(shareForceSource),
	}}
}

// acquire asks for a share or for the whole lock. A semaphore has shares only; of
// readers any number fit, which is permits 0.
func (s *shared) acquire(ctx context.Context, keys []string, owner string, q query) (reply, error) {
	l, kind, mode := s.l, "w", 0
	if q.share || l.permits > 1 {
		kind = "s"
	}
	permits := l.permits
	if l.readWrite {
		permits = 0
	}
	if q.enqueue {
		mode = 1
	}
	return s.query(ctx, s.scripts.acquire, sharedKeys(keys), owner, l.lease, kind, permits, mode, l.maxWaiters, s.clock.expect(time.Now(), l.ttl), l.clockTolerance().Milliseconds())
}

// renew runs share_renew.lua, without the queue: it may have no key yet, and a cluster
// refuses a call with keys on both sides of a slot that is moving.
func (s *shared) renew(ctx context.Context, keys []string, owner string) (renewal, error) {
	all := sharedKeys(keys)
	return decodeRenewal(s.call(s.scripts.renew, []string{all[0], all[3]}, owner, s.l.lease).repeatable(ctx))
}

// release runs share_release.lua.
func (s *shared) release(ctx context.Context, keys []string, h holding) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, s.l.timeout)
	defer cancel()
	return s.call(s.scripts.release, sharedKeys(keys), h.args()...).release(ctx, false)
}

// force runs share_force.lua.
func (s *shared) force(ctx context.Context, keys []string, owner string) (outcome, error) {
	return s.forceBy(ctx, s.scripts.force, sharedKeys(keys)[:1], owner)
}
