package lockmw

import (
	"context"
	"errors"
	"regexp"
	"strings"
)

// ErrForeign is a key in Redis that is no lock of this Locker.
var ErrForeign = errors.New("lockmw: no lock of this Locker")

var tag = regexp.MustCompile(`^\{[0-9a-f]{32}\}$`)

// ForceReleaseAt is [Locker.ForceRelease] for operators who see the lock's key
// in Redis, <prefix>:v1:<name>:{<hash>}, but not what was hashed.
func (l *Locker) ForceReleaseAt(ctx context.Context, redisKey, owner string) (bool, error) {
	hash, ok := strings.CutPrefix(redisKey, l.base)
	if !ok || !tag.MatchString(hash) {
		return false, ErrForeign
	}
	return l.forceRelease(ctx, keysWith(redisKey+":qp"), owner)
}

// CanForceRelease reports whether locks can be taken from their holders here,
// which is not so with [NewRedlock].
func (l *Locker) CanForceRelease() bool {
	_, ok := l.store.(operator)
	return ok
}

// KeyPrefix is what all keys of the Locker begin with.
func (l *Locker) KeyPrefix() string { return l.base }
