package lockmw

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"strconv"
	"time"
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
	Holders int           // above 1 for readers and permits; Owner and Left are those of one of them
}

var errVoters = errors.New("lockmw: is not for NewRedlock: ask the masters one by one")

// Inspect reads the state of the lock of key, for operators. It is stale at
// once: do not decide by it.
func (l *Locker) Inspect(ctx context.Context, key string) (Info, error) {
	o, ok := l.store.(operator)
	if !ok {
		return Info{}, errVoters
	}
	v, err := o.look(ctx, l.keys(key))
	if err != nil {
		return Info{}, unavailable(err)
	}
	list, _ := v.([]any)
	if len(list) < 4 {
		return Info{}, fmt.Errorf("lockmw: inspect: reply of %d values", len(list))
	}
	owner, _ := list[0].(string)
	left, _ := list[1].(int64)
	text, _ := list[2].(string)
	waiters, _ := list[3].(int64)
	fence, _ := strconv.ParseUint(text, 10, 64)
	info := Info{Held: owner != "", Owner: owner, Left: time.Duration(left) * time.Millisecond, Fence: fence, Waiters: int(waiters)}
	if info.Held {
		info.Holders = 1
	}
	if len(list) > 4 { // a lock that several may hold
		holders, _ := list[4].(int64)
		info.Holders = int(holders)
	}
	return info, nil
}

// ForceRelease takes the lock of key from the owner that Inspect has named, for
// operators. The holder's context ends with [ErrLost] as soon as it hears of it, which is
// not before the next begins: pass [Lock.Fence] to what you protect. It reports whether the owner still had the lock.
func (l *Locker) ForceRelease(ctx context.Context, key, owner string) (bool, error) {
	return l.forceRelease(ctx, l.keys(key), owner)
}

func (l *Locker) forceRelease(ctx context.Context, keys []string, owner string) (bool, error) {
	o, ok := l.store.(operator)
	if !ok {
		return false, errVoters
	}
	n, err := o.take(ctx, keys, owner)
	if err != nil {
		return false, unavailable(err)
	}
	return n == 1, nil
}
