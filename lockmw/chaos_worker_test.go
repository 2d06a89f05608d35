package lockmw_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// The test binary is also the process that the tests kill, stop and resume.
// TestMain calls worker with what these variables say:
//
//	LOCKMW_TEST_LOCKS     the deployment of the locks: its kind, a blank, its addresses
//	LOCKMW_TEST_DATABASE  the address of the store that the locks protect
//	LOCKMW_TEST_ROLE      sleeper, or one of many
//	LOCKMW_TEST_TTL       the lease
//	LOCKMW_TEST_LOG       the file where it says when it believed to hold the lock
//
// It ends when its standard input does.
func worker(locks, database string) {
	redis.SetLogger(quiet{})
	ttl, err := time.ParseDuration(os.Getenv("LOCKMW_TEST_TTL"))
	if err != nil {
		panic(err)
	}
	l, err := lockmw.New(plain(locks), lockmw.WithKeyPrefix("chaos"), lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl/20))
	if err != nil {
		panic(err)
	}
	db := redis.NewClient(&redis.Options{Addr: database})
	if os.Getenv("LOCKMW_TEST_ROLE") == "sleeper" {
		sleeper(l, db)
		return
	}
	log, err := os.OpenFile(os.Getenv("LOCKMW_TEST_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	w := &counting{l: l, db: db, log: log}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				if w.once() != nil { // busy, or Redis is away
					<-time.After(10 * time.Millisecond)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	close(stop)
	wg.Wait()
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// plain is a client as most programs make one: of addresses, and nothing else.
func plain(where string) redis.UniversalClient {
	kind, list, _ := strings.Cut(where, " ")
	switch addrs := strings.Split(list, ","); kind {
	case "standalone":
		return redis.NewClient(&redis.Options{Addr: list})
	case "sentinel":
		return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: addrs})
	case "cluster": // by default it goes on asking a dead master for a minute (go-redis issue 3979)
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ClusterStateReloadInterval: time.Second})
	}
	panic("no such deployment: " + where)
}

// store is a database that is told the fence with each access and refuses
// smaller ones, also between the reading and the writing of one holder. It
// hands on the wish of the test for one holder that holds until told otherwise, and notes
// which process grants it.
var store = redis.NewScriptServerSHA(`
local last = tonumber(redis.call('HGET', KEYS[1], 'fence') or 0)
local fence = tonumber(ARGV[1])
if fence < last then
  redis.call('HINCRBY', KEYS[1], 'refused', 1)
  return {-1, 0}
end
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
if ARGV[2] == 'read' then
  local wish = redis.call('DEL', KEYS[2])
  if wish == 1 then redis.call('SET', KEYS[3], ARGV[3]) end
  return {tonumber(redis.call('HGET', KEYS[1], 'value') or 0), wish}
end
redis.call('HSET', KEYS[1], 'value', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'written', 1)
return {1, 0}`)

// access reads (what is "read") or writes a value with a fence.
func access(ctx context.Context, db *redis.Client, fence uint64, what string) (value int64, wish bool, err error) {
	reply, err := store.Run(ctx, db, []string{"counter", "wish", "granted"}, strconv.FormatUint(fence, 10), what, os.Getpid()).Int64Slice()
	if err != nil {
		return 0, false, err
	}
	return reply[0], reply[1] == 1, nil
}

// counting adds one to a counter under the lock, reading and writing apart.
type counting struct {
	l   *lockmw.Locker
	db  *redis.Client
	log *os.File
}

func (w *counting) once() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	patience := time.AfterFunc(time.Second, cancel)
	k, err := w.l.Acquire(ctx, "counter")
	if err != nil {
		return err
	}
	if !patience.Stop() {
		return k.Release(ctx)
	}
	defer k.Release(context.Background())
	if !w.believes(k) {
		return nil
	}
	value, wish, err := access(context.Background(), w.db, k.Fence(), "read")
	if err != nil || value < 0 {
		return err
	}
	<-time.After(time.Duration(rand.IntN(3)) * time.Millisecond)
	for wish && w.db.Exists(context.Background(), "granted").Val() == 1 {
		if !w.believes(k) {
			w.db.Del(context.Background(), "granted") // told
		}
		<-time.After(5 * time.Millisecond)
	}
	// Who was to hold on writes without a look, as one does that is stopped
	// between the look and the write.
	if wish || w.believes(k) {
		_, _, err = access(context.Background(), w.db, k.Fence(), strconv.FormatInt(value+1, 10))
	}
	return err
}

// believes reports whether the holder may act, and logs when it believed so.
// The time is from before the look: what it sees is not older. One write is one line, and stays
// when the process is killed.
func (w *counting) believes(k *lockmw.Lock) bool {
	now := clock()
	if k.Context().Err() != nil {
		return false
	}
	_, err := w.log.WriteString(fmt.Sprintln(int64(now), k.Fence()))
	return err == nil
}
