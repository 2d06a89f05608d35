package lockmw

import (
	"context"
	"errors"
)

// CanForceRelease reports whether [Locker.ForceRelease] can take the lock at
// redisKey from its holder: whether it is a lock of this Locker, and not one of
// [NewRedlock].
func (l *Locker) CanForceRelease(redisKey string) bool {
	_, can := l.store.(forcer)
	_, own := l.ownKeys(redisKey)
	return can && own
}

// ForceRelease takes the lock at redisKey from owner, for operators: both are in
// [Info]. The holder's context ends with [ErrLost] as soon as it is told, which
// may be after the next holder begins: pass [Lock.Fence] to what you protect. It
// reports whether owner still had the lock.
//
//	info, err := locks.Inspect(ctx, "nightly-report")
//	if err == nil && info.Held {
//		_, err = locks.ForceRelease(ctx, info.Key, info.Owner)
//	}
func (l *Locker) ForceRelease(ctx context.Context, redisKey, owner string) (bool, error) {
	f, ok := l.store.(forcer)
	if !ok {
		return false, errRedlock
	}
	keys, ok := l.ownKeys(redisKey)
	if !ok {
		return false, errForeign
	}
	o, err := f.force(ctx, keys, owner)
	if err != nil {
		return false, failed("force release", err)
	}
	return o == succeeded, nil
}

var errForeign = errors.New("lockmw: the key in Redis is not a lock of this Locker")
