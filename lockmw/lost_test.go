package lockmw_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// A holder that Redis is cut off from is told a margin before another can hold
// the lock: a tenth of the lease, at least 50 ms. Both times are of one clock. A late timer
// eats from the margin, which is what it is for.
func TestLostBeforeAnotherHolds(t *testing.T) {
	const ttl, margin = 2500 * time.Millisecond, 250 * time.Millisecond
	s := redistest.NewServer(t)
	next := locker(t, s.Client(t), lockmw.WithKeyPrefix("p"))
	late := lateness()
	ahead := map[string]time.Duration{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, fault := range []struct {
		name string
		cut  func(*redistest.Proxy)
	}{
		{"mute", (*redistest.Proxy).Mute},
		{"refused", (*redistest.Proxy).Refuse},
		{"renewed unheard", (*redistest.Proxy).SwallowReplies},
		{"cut in a reply", func(p *redistest.Proxy) { p.ResetMidReply(1) }},
	} {
		for _, honours := range []bool{true, false} {
			p := redistest.NewProxy(t, s.Addr())
			rdb := redis.NewClient(&redis.Options{Addr: p.Addr(), ContextTimeoutEnabled: honours})
			t.Cleanup(func() { _ = rdb.Close() })
			key := fmt.Sprintf("%s, honours deadlines %v", fault.name, honours)
			k := acquire(t, locker(t, rdb, lockmw.WithKeyPrefix("p"), lockmw.WithTTL(ttl), lockmw.WithTimeout(500*time.Millisecond)), key)
			told, granted := make(chan time.Duration, 1), make(chan time.Duration, 1)
			context.AfterFunc(k.Context(), func() { told <- clock() })
			wg.Go(func() {
				k, err := next.Acquire(context.Background(), key)
				granted <- clock()
				if err == nil {
					err = k.Release(context.Background())
				}
				if err != nil {
					t.Errorf("%s: the next: %v", key, err)
				}
			})
			wg.Go(func() {
				<-time.After(time.Duration(i+1) * 400 * time.Millisecond) // renewals are at thirds of the lease
				if k.Context().Err() != nil {
					t.Errorf("%s: lost before the fault", key)
				}
				fault.cut(p)
				at, then := <-told, <-granted
				mu.Lock()
				ahead[key] = then - at
				mu.Unlock()
				if cause := context.Cause(k.Context()); !errors.Is(cause, lockmw.ErrLost) || cause.Error() != "lockmw: lock lost: expired" {
					t.Errorf("%s: cause %v", key, cause)
				}
				p.Heal()
				if err := k.Release(t.Context()); !errors.Is(err, lockmw.ErrLost) {
					t.Errorf("%s: release: got %v, want ErrLost", key, err)
				}
			})
		}
	}
	wg.Wait()
	worst := late()
	for key, d := range ahead {
		t.Logf("%s: told %v before another held it", key, d)
		if d < margin-worst-20*time.Millisecond {
			t.Errorf("%s: told %v before another held it, want %v less the %v that this process was late itself", key, d, margin, worst)
		}
	}
}

// lateness measures by how much timers of this process are late, because the
// machine is busy, until it is asked for the worst.
func lateness() (worst func() time.Duration) {
	const each = 2 * time.Millisecond
	stop, most := make(chan struct{}), make(chan time.Duration)
	go func() {
		late := time.Duration(0)
		for last := clock(); ; {
			select {
			case <-stop:
				most <- late
				return
			case <-time.After(each):
			}
			now := clock()
			late, last = max(late, now-last-each), now
		}
	}()
	return func() time.Duration { close(stop); return <-most }
}

// nap is what a process that was stopped while it held the lock saw when it
// woke up. All times are by clock.
type nap struct {
	Fence    uint64
	Woke     time.Duration
	Valid    time.Duration // at the first look
	Believed int           // looks that found the context alive
	Told     time.Duration
	Cause    string
	Refused  bool // what it wrote although it was told
}

// sleeper takes the lock again and again, does nothing but look whether it
// still has it, and says what it saw after it stood still.
func sleeper(l *lockmw.Locker, db *redis.Client) {
	gap, err := time.ParseDuration(os.Getenv("LOCKMW_TEST_TTL"))
	if err != nil {
		panic(err)
	}
	for {
		k, err := l.Acquire(context.Background(), "counter")
		if err != nil {
			continue
		}
		n := nap{Fence: k.Fence()}
		last := clock()
		fmt.Println("held")
		for {
			now := clock()
			alive := k.Context().Err() == nil
			if n.Woke == 0 && (now-last > gap/2 || !alive) { // it may have slept between now and alive
				n.Woke, n.Valid = clock(), k.Valid()
			}
			if !alive {
				n.Told = clock()
				break
			}
			if n.Woke != 0 {
				n.Believed++
			}
			last = now
		}
		n.Cause = context.Cause(k.Context()).Error()
		value, _, err := access(context.Background(), db, n.Fence, strconv.Itoa(1_000_000))
		n.Refused = err == nil && value == -1
		_ = k.Release(context.Background())
		_ = json.NewEncoder(os.Stdout).Encode(n)
	}
}

// A process is stopped while it holds the lock, for longer than its lease;
// another takes over; the first wakes up.
//
// Promised is: Valid, Lost and the Err of the lock's context say at the first
// look that the lock is not held, because they compute that from the clocks;
// Done is closed at once, with ErrLost; and the fence of the first is refused by
// what knows the second.
//
// Not promised is that Done is closed before the first instruction of the woken
// process: nothing can run in a stopped process, so a timer closes it after
// it has woken up, while the goroutine that was stopped goes on for some
// microseconds. That is also when the Err of a context made from the lock's
// says so. And a process that is stopped between its look and its write
// writes when it wakes up, whatever the look says. Only the fence is for that.
func TestStoppedHolder(t *testing.T) {
	const ttl, naps = time.Second, 4
	s, database := redistest.NewServer(t), redistest.NewServer(t)
	db := database.Client(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOCKMW_TEST_LOCKS=standalone "+s.Addr(), "LOCKMW_TEST_DATABASE="+database.Addr(), "LOCKMW_TEST_ROLE=sleeper", "LOCKMW_TEST_TTL="+ttl.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	line := func() []byte {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("the process ended")
		}
		return lines.Bytes()
	}
	l := locker(t, s.Client(t), lockmw.WithKeyPrefix("chaos"))
	for range naps {
		if got := string(line()); got != "held" {
			t.Fatalf("got %q", got)
		}
		_ = cmd.Process.Signal(syscall.SIGSTOP)
		k := acquire(t, l, "counter")
		granted := clock()
		if _, _, err := access(t.Context(), db, k.Fence(), "read"); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Process.Signal(syscall.SIGCONT)
		var n nap
		if err := json.Unmarshal(line(), &n); err != nil {
			t.Fatal(err)
		}
		if n.Fence >= k.Fence() || n.Woke < granted {
			t.Fatalf("%+v, granted at %v with %d: that was no nap", n, granted, k.Fence())
		}
		if n.Valid > 0 {
			t.Errorf("it woke up and saw the lock valid for %v", n.Valid)
		}
		if took := n.Told - n.Woke; took > time.Second {
			t.Errorf("its context ended %v after it woke up", took)
		}
		if n.Cause != "lockmw: lock lost: expired" && n.Cause != "lockmw: lock lost: taken" {
			t.Errorf("cause %q, want expired or taken", n.Cause)
		}
		if !n.Refused {
			t.Error("it could write after another had begun")
		}
		if n.Believed > 0 {
			t.Errorf("it believed %d times to hold the lock, and was told %v after it woke up", n.Believed, n.Told-n.Woke)
		}
		if err := k.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := db.HGet(t.Context(), "counter", "refused").Val(); n != strconv.Itoa(naps) {
		t.Errorf("%s writes were refused, want %d", n, naps)
	}
}
