package lockbench

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// The test binary is also a process that contends with its like.
func TestMain(m *testing.M) {
	if addr := os.Getenv("LOCKBENCH_ADDR"); addr != "" {
		compete(addr)
		return
	}
	redistest.Main(m)
}

const ttl = 10 * time.Second

// A contender locks a key and returns what unlocks it.
type contender struct {
	name string
	lock func(key string) (unlock func(), err error)
}

func client(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
}

func ours(b testing.TB, rdb *redis.Client) contender {
	l, err := lockmw.New(rdb)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close(context.Background()) })
	return contender{"lockmw", func(key string) (func(), error) {
		k, err := l.Acquire(context.Background(), key)
		return func() { _ = k.Release(context.Background()) }, err
	}}
}

// The peers ask again every ten milliseconds; their own defaults are 50 to 250 (redsync) and
// not at all (redislock).
func redsyncs(rdb *redis.Client) contender {
	rs := redsync.New(goredis.NewPool(rdb))
	return contender{"redsync", func(key string) (func(), error) {
		m := rs.NewMutex(key, redsync.WithExpiry(ttl), redsync.WithTries(1_000_000), redsync.WithRetryDelay(10*time.Millisecond))
		err := m.Lock()
		return func() { _, _ = m.Unlock() }, err
	}}
}

func redislocks(rdb *redis.Client) contender {
	c := redislock.New(rdb)
	return contender{"redislock", func(key string) (func(), error) {
		k, err := c.Obtain(context.Background(), key, ttl, &redislock.Options{RetryStrategy: redislock.LinearBackoff(10 * time.Millisecond)})
		return func() { _ = k.Release(context.Background()) }, err
	}}
}

// bare is what a lock costs at least: SET NX PX, and a script that compares and
// deletes. It does not wait.
func bare(rdb *redis.Client) contender {
	release := redis.NewScriptServerSHA(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
	return contender{"bare", func(key string) (func(), error) {
		err := rdb.SetNX(context.Background(), key, "4e55tgrsxkvqp2hjcaqpwx2y2d:1", ttl).Err()
		return func() {
			_ = release.Run(context.Background(), rdb, []string{key}, "4e55tgrsxkvqp2hjcaqpwx2y2d:1").Err()
		}, err
	}}
}

func mutex() contender {
	var mu sync.Mutex
	return contender{"mutex", func(string) (func(), error) {
		mu.Lock()
		return mu.Unlock, nil
	}}
}
