package lockmw

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed inspect.lua
	inspectSource string
	//go:embed force.lua
	forceSource string
)

// Info is the state of a lock in all instances.
type Info struct {
	Held    bool
	Owner   string        // names the holder's instance and call; for ForceRelease
	Left    time.Duration // of the lease, which the holder may renew
	Fence   uint64        // the last that was reserved
	Waiters int           // instances that wait in Redis
}

var errVoters = errors.New("lockmw: is not for NewRedlock: ask the masters one by one")

// Inspect reads the state of the lock of key, for operators. It is stale at
// once: do not decide by it.
func (l *Locker) Inspect(ctx context.Context, key string) (Info, error) {
	v, err := l.operate(ctx, key, func(n *node) *redis.Script { return n.inspect })
	if err != nil {
		return Info{}, err
	}
	list, _ := v.([]any)
	if len(list) != 4 {
		return Info{}, fmt.Errorf("lockmw: inspect: reply of %d values", len(list))
	}
	owner, _ := list[0].(string)
	left, _ := list[1].(int64)
	text, _ := list[2].(string)
	waiters, _ := list[3].(int64)
	fence, _ := strconv.ParseUint(text, 10, 64)
	return Info{Held: owner != "", Owner: owner, Left: time.Duration(left) * time.Millisecond, Fence: fence, Waiters: int(waiters)}, nil
}

// ForceRelease takes the lock of key from the owner that Inspect has named, for
// operators. The holder's context ends with [ErrLost] as soon as it hears of it, which is
// not before the next begins: pass [Lock.Fence] to what you protect. It reports whether the owner still had the lock.
func (l *Locker) ForceRelease(ctx context.Context, key, owner string) (bool, error) {
	v, err := l.operate(ctx, key, func(n *node) *redis.Script { return n.force }, owner)
	n, _ := v.(int64)
	return n == 1, err
}

func (l *Locker) operate(ctx context.Context, key string, script func(*node) *redis.Script, args ...any) (any, error) {
	n, single := l.store.(*node)
	if !single {
		return nil, errVoters
	}
	ctx, cancel := context.WithTimeout(ctx, l.nodeTimeout)
	defer cancel()
	v, err := script(n).Run(ctx, n.caller, l.keys(key), args...).Result()
	if err != nil {
		return nil, unavailable(err)
	}
	return v, nil
}
