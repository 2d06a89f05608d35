package idempotency_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// The environment of a process: where its Redis and the outside store are,
// what it does, and whether what is of unknown outcome is run again.
const (
	envAddr, envDatabase, envRerun = "IDEMPOTENCY_TEST_ADDR", "IDEMPOTENCY_TEST_DATABASE", "IDEMPOTENCY_TEST_RERUN"
	envRound                       = "IDEMPOTENCY_TEST_ROUND" // of a victim; a peer has none
)

const (
	perRound  = 10 // keys of each victim
	chaosTTL  = 3 * time.Second
	longestMS = 20 // of a handler
)

// process is one instance of the service.
func process(addr string) {
	rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	db := redis.NewClient(&redis.Options{Addr: os.Getenv(envDatabase)})
	locks, err := lockmw.New(rdb, lockmw.WithTTL(chaosTTL), lockmw.WithTimeout(time.Second))
	if err != nil {
		panic(err)
	}
	k, err := idempotency.New(locks, rdb, user, idempotency.WithTimeout(time.Second), idempotency.WithRerun(os.Getenv(envRerun) != ""))
	if err != nil {
		panic(err)
	}
	begun := make(chan struct{}, perRound)
	h := k.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		effect(w, r, db, begun)
	}))
	if round := os.Getenv(envRound); round != "" {
		victim(h, db, round, begun)
		return
	}
	peer(h, db)
}

// effect is what must be done once. It notes in the outside store that it
// begins and ends, and whether it met another one that is alive.
func effect(w http.ResponseWriter, r *http.Request, db *redis.Client, begun chan<- struct{}) {
	ctx := context.Background()
	key := r.Header.Get("Idempotency-Key")
	a, _ := idempotency.FromContext(r.Context())
	mark := fmt.Sprint(os.Getpid(), "-", a.Fence)
	db.HIncrBy(ctx, "runs", key, 1)
	db.HSet(ctx, "inside:"+key, mark, "")
	for other := range db.HGetAll(ctx, "inside:"+key).Val() {
		text, _, _ := strings.Cut(other, "-")
		pid, _ := strconv.Atoi(text)
		if other != mark && syscall.Kill(pid, 0) == nil && r.Context().Err() == nil {
			db.Incr(ctx, "overlaps")
		}
	}
	select {
	case begun <- struct{}{}:
	default:
	}
	select {
	case <-r.Context().Done():
	case <-time.After(time.Duration(rand.IntN(longestMS)) * time.Millisecond):
	}
	db.HIncrBy(ctx, "ended", key, 1)
	db.HDel(ctx, "inside:"+key, mark)
	fmt.Fprint(w, "done by attempt ", a.Number)
}

// victim serves the first request of each key of a round, all at once, and
// kills itself in the middle of that.
func victim(h http.Handler, db *redis.Client, round string, begun <-chan struct{}) {
	var keys []any
	for i := range perRound {
		keys = append(keys, "r"+round+"-"+strconv.Itoa(i))
	}
	for _, key := range keys {
		go post(h, key.(string), "5")
	}
	db.SAdd(context.Background(), "keys", keys...) // peers begin too
	select {
	case <-begun:
	case <-time.After(time.Second):
	}
	<-time.After(time.Duration(rand.IntN(2*longestMS)) * time.Millisecond)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// peer asks for every key until it has an answer that stays.
func peer(h http.Handler, db *redis.Client) {
	ctx := context.Background()
	done, under := map[string]bool{}, sync.Mutex{}
	for {
		var wg sync.WaitGroup
		for _, key := range db.SMembers(ctx, "keys").Val() {
			under.Lock()
			over := done[key]
			under.Unlock()
			if over {
				continue
			}
			wg.Go(func() {
				w := post(h, key, "5")
				if w.Code >= 500 || w.Header().Get("Retry-After") != "" {
					return
				}
				answer := w.Body.String()
				if w.Code != http.StatusOK {
					_, answer, _ = strings.Cut(answer, "#")
					answer, _, _ = strings.Cut(answer, `"`)
				}
				db.RPush(ctx, "answers:"+key, answer)
				under.Lock()
				done[key] = true
				under.Unlock()
			})
		}
		wg.Wait()
		<-time.After(10 * time.Millisecond)
	}
}

// Two hundred keys, eighty in a short run, whose first process is killed in the middle of them, while
// two others send the same requests all the time.
func TestKilledInTheMiddle(t *testing.T) {
	rounds := 8
	if redistest.IsLong() {
		rounds = 20
	}
	for _, rerun := range []bool{false, true} {
		t.Run(fmt.Sprintf("rerun=%v", rerun), func(t *testing.T) {
			t.Parallel()
			server, database := redistest.NewServer(t), redistest.NewServer(t)
			start := func(env ...string) *exec.Cmd {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), append(env, envAddr+"="+server.Addr(), envDatabase+"="+database.Addr())...)
				if rerun {
					cmd.Env = append(cmd.Env, envRerun+"=1")
				}
				cmd.Stderr = os.Stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				return cmd
			}
			for range 2 {
				cmd := start()
				t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			}
			for round := range rounds {
				if err := start(fmt.Sprint(envRound, "=", round)).Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
					t.Fatalf("a victim: %v", err)
				}
			}
			db := database.Client(t)
			keys := db.SMembers(t.Context(), "keys").Val()
			if len(keys) != rounds*perRound {
				t.Fatalf("%d keys", len(keys))
			}
			for _, key := range keys {
				redistest.Eventually(t, 3*patience, func() bool { return db.LLen(t.Context(), "answers:"+key).Val() == 2 }, "%s is not answered", key)
			}
			counts := map[string]int{}
			runs, ended := db.HGetAll(t.Context(), "runs").Val(), db.HGetAll(t.Context(), "ended").Val()
			for _, key := range keys {
				answers := db.LRange(t.Context(), "answers:"+key, 0, -1).Val()
				counts[answers[0]]++
				if answers[0] != answers[1] {
					t.Errorf("%s: answers %q", key, answers)
				}
				done := strings.HasPrefix(answers[0], "done by attempt ")
				switch {
				case rerun && (!done || ended[key] == ""):
					t.Errorf("%s ended %s times, answer %q", key, ended[key], answers[0])
				case !rerun && runs[key] != "" && runs[key] != "1":
					t.Errorf("%s ran %s times", key, runs[key])
				case !rerun && done && (answers[0] != "done by attempt 1" || ended[key] != "1"):
					t.Errorf("%s ended %s times, answer %q", key, ended[key], answers[0])
				case !done && answers[0] != "unknown-outcome":
					t.Errorf("%s: answer %q", key, answers[0])
				}
			}
			if overlaps := db.Get(t.Context(), "overlaps").Val(); overlaps != "" {
				t.Errorf("%s times two at once", overlaps)
			}
			t.Logf("answers: %v", counts)
		})
	}
}
