package peerbench

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis/rueidislock"
)

// BenchmarkLock acquires and releases locks. Uncontended has a key for each goroutine;
// contended has one key for all, sections of a millisecond, and a sync.Mutex as
// its base. internal/lockbench has fairness and several processes.
func BenchmarkLock(b *testing.B) {
	for _, s := range lockers() {
		s.run(b)
	}
}

func lockers() []scenario {
	uncontended, contended := scenario{
		name: "uncontended", base: get(32), goroutines: []int{1, 64, 256}, delays: []time.Duration{0, time.Millisecond},
	}, scenario{
		name: "contended", base: contendedLock("mutex", mutexes), goroutines: []int{64}, delays: []time.Duration{0}, uncounted: true,
	}
	for _, c := range []struct {
		name string
		make func(e *env) acquire
	}{{client, ourLocks(client)}, {batched, ourLocks(batched)}, {"rueidislock", rueidislocks}, {"redislock", redislocks}, {"redsync", redsyncs}} {
		uncontended.all = append(uncontended.all, ownLock(c.name, c.make))
		if c.name != "rueidislock" { // its waiters do not always wake up
			contended.all = append(contended.all, contendedLock(c.name, c.make))
		}
	}
	uncontended.all = append(uncontended.all, ownLock("bare-SETNX+script", bareLocks))
	return []scenario{uncontended, contended}
}

// acquire waits for a lock and returns what releases it.
type acquire func(key string) (release func() error, err error)

const lockTTL = 10 * time.Second

// ownLock has a key for each goroutine.
func ownLock(name string, make func(e *env) acquire) contender {
	return contender{name, func(e *env) begin {
		lock := make(e)
		return func(i int) func() error {
			key := "lock:" + name + strconv.Itoa(i)
			return func() error {
				release, err := lock(key)
				if err != nil {
					return err
				}
				return release()
			}
		}
	}}
}

var errTogether = errors.New("two hold the lock")

// contendedLock has one key for all.
func contendedLock(name string, make func(e *env) acquire) contender {
	return contender{name, func(e *env) begin {
		lock := make(e)
		var inside atomic.Int32
		return func(int) func() error {
			return func() error {
				release, err := lock("contended:" + name)
				if err != nil {
					return err
				}
				alone := inside.Add(1) == 1
				<-time.After(time.Millisecond)
				inside.Add(-1)
				if err := release(); err != nil || alone {
					return err
				}
				return errTogether
			}
		}
	}}
}

func mutexes(*env) acquire {
	var mu sync.Mutex
	return func(string) (func() error, error) {
		mu.Lock()
		return func() error { mu.Unlock(); return nil }, nil
	}
}

var errFence = errors.New("no fence")

func ourLocks(name string) func(e *env) acquire {
	return func(e *env) acquire {
		l := e.locks(e.pick(name))
		return func(key string) (func() error, error) {
			k, err := l.Acquire(context.Background(), key)
			if err != nil {
				return nil, err
			}
			if k.Fence() == 0 {
				return nil, errFence
			}
			return func() error { return k.Release(context.Background()) }, nil
		}
	}
}

func rueidislocks(e *env) acquire {
	l, err := rueidislock.NewLocker(rueidislock.LockerOption{
		ClientOption: e.rueidisOption(), KeyMajority: 1, KeyValidity: lockTTL, NoLoopTracking: true, TryNextAfter: patience,
	})
	e.check(err)
	e.tb.Cleanup(l.Close)
	return func(key string) (func() error, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		_, release, err := l.WithContext(ctx, key)
		if err != nil {
			cancel()
			return nil, err
		}
		return func() error { release(); cancel(); return nil }, nil
	}
}

// The peers that wait ask again every ten milliseconds; their own defaults are 50 to 250
// (redsync) and not at all (redislock).
func redislocks(e *env) acquire {
	c := redislock.New(e.goredis())
	return func(key string) (func() error, error) {
		k, err := c.Obtain(context.Background(), key, lockTTL, &redislock.Options{RetryStrategy: redislock.LinearBackoff(10 * time.Millisecond)})
		if err != nil {
			return nil, err
		}
		return func() error { return k.Release(context.Background()) }, nil
	}
}

func redsyncs(e *env) acquire {
	rs := redsync.New(goredis.NewPool(e.goredis()))
	return func(key string) (func() error, error) {
		m := rs.NewMutex(key, redsync.WithExpiry(lockTTL), redsync.WithTries(1_000_000), redsync.WithRetryDelay(10*time.Millisecond))
		if err := m.Lock(); err != nil {
			return nil, err
		}
		return func() error {
			_, err := m.Unlock()
			return err
		}, nil
	}
}

var bareRelease = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)

// bareLocks is the least that a lock costs. It does not wait.
func bareLocks(e *env) acquire {
	rdb := e.goredis()
	return func(key string) (func() error, error) {
		owner := "4e55tgrsxkvqp2hjcaqpwx2y2d:" + strconv.FormatInt(next(), 10)
		if err := rdb.SetArgs(context.Background(), key, owner, redis.SetArgs{Mode: "NX", TTL: lockTTL}).Err(); err != nil {
			return nil, err
		}
		return func() error {
			n, err := bareRelease.Run(context.Background(), rdb, []string{key}, owner).Int()
			if err == nil && n != 1 {
				return errValue
			}
			return err
		}, nil
	}
}
