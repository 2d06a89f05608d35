package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// store is a database that is told the fence with each access and refuses
// smaller ones, also between the reading and the writing of one holder.
var store = redis.NewScriptServerSHA(`
local last = tonumber(redis.call('HGET', KEYS[1], 'fence') or 0)
local fence = tonumber(ARGV[1])
if fence < last then
  redis.call('HINCRBY', KEYS[1], 'refused', 1)
  return -1
end
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
if ARGV[2] == 'read' then return tonumber(redis.call('HGET', KEYS[1], 'value') or 0) end
redis.call('HSET', KEYS[1], 'value', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'written', 1)
return 1`)

// worker is a process of the chaos test: sixteen goroutines that add one to a
// counter under the lock, reading and writing apart.
func worker(locks, database string) {
	rdb := redis.NewClient(&redis.Options{Addr: locks, ContextTimeoutEnabled: true, MaxRetries: -1})
	db := redis.NewClient(&redis.Options{Addr: database, ContextTimeoutEnabled: true})
	l, err := lockmw.New(rdb, lockmw.WithKeyPrefix("chaos"), lockmw.WithTTL(chaosTTL), lockmw.WithNodeTimeout(100*time.Millisecond))
	if err != nil {
		panic(err)
	}
	until, _ := strconv.ParseInt(os.Getenv("LOCKMW_TEST_UNTIL"), 10, 64)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for time.Now().UnixMilli() < until {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				k, err := l.Acquire(ctx, "counter")
				if err != nil {
					cancel()
					continue // busy, or Redis is away
				}
				fence := strconv.FormatUint(k.Fence(), 10)
				// The marks of who is inside are not fenced: they count overlaps.
				db.HSet(ctx, "inside", fence, os.Getpid())
				if n, err := db.HLen(ctx, "inside").Result(); err == nil && n > 1 && k.Context().Err() == nil {
					db.Incr(ctx, "overlaps")
				}
				value, err := store.Run(ctx, db, []string{"counter"}, fence, "read").Int64()
				<-time.After(time.Duration(rand.IntN(3)) * time.Millisecond)
				if err == nil && value >= 0 && k.Context().Err() == nil {
					_ = store.Run(ctx, db, []string{"counter"}, fence, value+1).Err()
				}
				db.HDel(context.Background(), "inside", fence)
				_ = k.Release(ctx)
				cancel()
			}
		})
	}
	wg.Wait()
}

const chaosTTL = 2 * time.Second

// Four processes of sixteen goroutines; holders are killed, stopped for longer
// than their lease, Redis is stopped and restarted without its data. The store
// that checks fences loses no update.
func TestChaos(t *testing.T) {
	locks, database := redistest.NewServer(t), redistest.NewServer(t)
	const lasts = 16 * time.Second
	end := time.Now().Add(lasts)
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "LOCKMW_TEST_LOCKS="+locks.Addr(), "LOCKMW_TEST_DATABASE="+database.Addr(), fmt.Sprint("LOCKMW_TEST_UNTIL=", end.UnixMilli()))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	all := make([]*exec.Cmd, 4)
	for i := range all {
		all[i] = start()
	}
	db := database.Client(t)
	written := func() int64 { n, _ := db.HGet(t.Context(), "counter", "written").Int64(); return n }
	redistest.Eventually(t, patience, func() bool { return written() > 50 }, "nobody works")
	// forget takes away the mark of a process that does nothing any more, before
	// its lease ends and another begins.
	forget := func(cmd *exec.Cmd) {
		for fence, pid := range db.HGetAll(t.Context(), "inside").Val() {
			if pid == strconv.Itoa(cmd.Process.Pid) {
				db.HDel(t.Context(), "inside", fence)
			}
		}
	}
	goesOn := func(what string) {
		before := written()
		redistest.Eventually(t, patience, func() bool { return written() > before+20 || time.Now().After(end) }, "nobody works after %s", what)
	}
	for round := 0; time.Now().Before(end.Add(-lasts / 2)); round++ {
		switch victim := all[rand.IntN(len(all))]; round % 3 {
		case 0:
			_ = victim.Process.Kill()
			_ = victim.Wait()
			forget(victim)
			all[slices.Index(all, victim)] = start()
			goesOn("a process died")
		case 1:
			_ = victim.Process.Signal(syscall.SIGSTOP)
			forget(victim)
			<-time.After(chaosTTL + 300*time.Millisecond)
			_ = victim.Process.Signal(syscall.SIGCONT)
			goesOn("a process stood still for longer than its lease")
		case 2:
			locks.Pause()
			<-time.After(300 * time.Millisecond)
			locks.Resume()
			goesOn("Redis stood still")
		}
	}
	overlaps := db.Get(t.Context(), "overlaps").Val()
	if overlaps != "" {
		t.Errorf("%s overlaps", overlaps)
	}
	// Without its data Redis grants at once, and the holder of before learns of
	// it at its next renewal: that is what fences are for.
	for range 2 {
		locks.Kill()
		locks.Restart(t)
		goesOn("Redis lost everything")
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != -1 {
				t.Errorf("a process: %v", err)
			}
		}
	}
	fields := db.HGetAll(t.Context(), "counter").Val()
	if fields["value"] != fields["written"] {
		t.Errorf("the counter is %s after %s writes: an update was lost", fields["value"], fields["written"])
	}
	t.Logf("%s writes, %q accesses refused by their fence, %q overlaps after two restarts of Redis", fields["written"], fields["refused"], db.Get(t.Context(), "overlaps").Val())
}
