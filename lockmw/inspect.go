package lockmw

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/rights"
)

// Info is the state of a lock in all instances.
type Info struct {
	// Key is the lock's key in Redis, see [Locker.RedisKey]. It is "" if Redis has
	// nothing of the lock, which is free then.
	Key string
	// Held is true while an owner holds the lock, or several do.
	Held bool
	// Reserved is true while a waiter that was woken may take the lock.
	Reserved bool
	// Lapsed is true after the lease of a holder that never released ended, until
	// the next one takes the lock.
	Lapsed bool
	// Grace is true while a lease lasts longer because the server's clock may have
	// been set.
	Grace bool
	// Owner names the holder's instance and call. Of several holders it is the one
	// whose lease ends first.
	Owner string
	// Left is what is left of the lease of Owner, who may renew it, or of a
	// reservation.
	Left time.Duration
	// Fence is the last fence that was granted or reserved for handoffs.
	Fence uint64
	// Waiters is how many instances wait in Redis.
	Waiters int
	// LocalWaiters is how many calls of this process wait. Only [Locker.Inspect]
	// counts them.
	LocalWaiters int
	// Holders is how many hold the lock: more than one only with [WithReadWrite]
	// or [WithPermits].
	Holders int
	// Leases is what is left of the lease of each holder, by owner: of the 50 that
	// end first.
	Leases map[string]time.Duration
	// Shared is true for a lock that several may hold, Permits is how many, 0 for any
	// number of readers, and Writer is true while a writer holds it.
	Shared  bool
	Permits int
	Writer  bool
}

// maxLeases bounds how many leases of a lock are read.
const maxLeases = 50

// Inspect reads the state of the locks at redisKeys, in one round trip, for
// operators: each is the key of a lock, or its part "m", see [ParseKey]. The
// state is stale at once: do not decide by it. The Info of a key that is not
// there, or is not a lock, has no Key.
func Inspect(ctx context.Context, rdb interface{ Pipeline() redis.Pipeliner }, redisKeys ...string) ([]Info, error) {
	if len(redisKeys) == 0 {
		return nil, nil
	}
	replies, pipe, source := make([]*redis.Cmd, len(redisKeys)), rdb.Pipeline(), withGrammar(inspectSource)
	for i, key := range redisKeys {
		replies[i] = pipe.Eval(ctx, source, inspectedKeys(strings.TrimSuffix(key, ":m")), maxLeases)
	}
	if err := inspectError(pipe.Exec(ctx)); err != nil {
		return nil, failed("inspect", err)
	}
	all := make([]Info, len(redisKeys))
	for i, key := range redisKeys {
		values, _ := replies[i].Slice() // an error of one key says nothing of the others
		if info, ok := decodeInfo(values, strings.HasSuffix(key, ":m")); ok {
			info.Key = key
			all[i] = info
		}
	}
	return all, nil
}

// inspectError is the error of a pipeline that concerns all of its commands.
func inspectError(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		if _, missing := rights.Missing(cmd.Err()); missing {
			return diagnose(cmd.Err())
		}
	}
	var answer redis.Error
	if errors.Is(err, redis.Nil) || errors.As(err, &answer) && !errors.Is(err, ErrUnavailable) {
		return nil
	}
	return err
}

// inspectedKeys are the keys of inspect.lua.
func inspectedKeys(lock string) []string {
	shared := sharedKeys(keysWith(lock + ":qp"))
	return []string{lock, shared[1], shared[0], shared[3]}
}

// Inspect reads the state of the lock of key, for operators. It is stale at
// once: do not decide by it. With [NewRedlock] it fails: call the function
// [Inspect] for each master, with [Locker.RedisKey].
func (l *Locker) Inspect(ctx context.Context, key string) (Info, error) {
	n, ok := l.inspected()
	if !ok {
		return Info{}, errRedlock
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	lock := l.keys(key)[0]
	values, err := n.caller.Run(ctx, n.scripts.inspect, inspectedKeys(lock), maxLeases).Slice()
	if err != nil {
		return Info{}, failed("inspect", diagnose(err))
	}
	info, ok := decodeInfo(values, l.isShared())
	if ok {
		info.Key = lock
	}
	info.LocalWaiters = l.waiters.count(key)
	return info, nil
}

// inspected returns the deployment that Inspect reads. There is none with several
// masters, which may differ.
func (l *Locker) inspected() (*node, bool) {
	switch s := l.store.(type) {
	case *node:
		return s, true
	case *shared:
		return s.node, true
	}
	return nil, false
}

// decodeInfo reads the reply of inspect.lua. It reports false if there is no
// lock.
func decodeInfo(reply []any, shared bool) (Info, bool) {
	if len(reply) < 5 {
		return Info{}, false
	}
	now, ok := reply[0].(int64)
	lock, ok1 := reply[1].(string)
	state, ok2 := reply[2].(string)
	waiters, ok3 := reply[3].(int64)
	holders, ok4 := reply[4].(int64)
	if !ok || !ok1 || !ok2 || !ok3 || !ok4 {
		return Info{}, false
	}
	info := Info{Waiters: int(waiters), Shared: shared}
	if shared {
		info.Holders = int(holders)
		return info, info.decodeState(state, now, reply[5:])
	}
	return info, info.decodeLock(lock, now)
}

// decodeLock reads the string of a lock that one owner holds.
func (i *Info) decodeLock(s string, now int64) bool {
	v, ok := parseLock(s)
	if !ok {
		return false
	}
	i.Fence = v.fence
	left := millis(v.expiry - now)
	switch live := left > 0; {
	case v.kind == kindReserved && live:
		i.Reserved, i.Left = true, left
	case v.kind == kindFree || v.kind == kindReserved:
	case live:
		i.Held, i.Owner, i.Left, i.Holders, i.Grace = true, v.owner, left, 1, v.kind == kindGrace
		i.Leases = map[string]time.Duration{v.owner: left}
	default:
		i.Lapsed = true
	}
	return true
}

// decodeState reads the state of a lock that several may hold, and the leases of
// its holders in the order of their ends.
func (i *Info) decodeState(s string, now int64, leases []any) bool {
	v, ok := parseState(s)
	if !ok {
		return false
	}
	i.Fence, i.Permits, i.Grace, i.Held = v.fence, v.permits, v.grace > now, i.Holders > 0
	for ; len(leases) >= 2; leases = leases[2:] { // in order of their ends
		owner, _ := leases[0].(string)
		end, _ := leases[1].(string)
		left := millis(number(end) - now)
		if i.Leases == nil {
			i.Leases, i.Owner, i.Left = map[string]time.Duration{}, owner, left
		}
		i.Leases[owner] = left
	}
	i.Writer = i.Held && v.writer != "" && i.Owner == v.writer
	return true
}

var errRedlock = errors.New("lockmw: not with NewRedlock: inspect each master")
