package bounded

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// replying is a client whose server answers every command with err.
type replying struct {
	Client

	mu   sync.Mutex
	err  error
	sent int
	held chan struct{} // closed when it replies; nil: at once
}

func (r *replying) Process(_ context.Context, cmd redis.Cmder) error {
	if r.held != nil {
		<-r.held
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
	if r.err != nil {
		cmd.SetErr(r.err)
	}
	return r.err
}

// A server that has rejected SET … IFEQ is not asked for ten minutes, then once by one
// of many callers; and from then on by all of them if it has the command, as after an
// upgrade or a failover.
func TestIFEQIsTriedAgainAfterTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &replying{err: refusal("ERR syntax error")}
		c := New(server)
		step := func(what string, wait time.Duration, err error, sent, done int) {
			t.Helper()
			time.Sleep(wait)
			server.err, server.sent = err, 0
			var mu sync.Mutex
			var wg sync.WaitGroup
			got := 0
			for range 8 {
				wg.Go(func() {
					ok, err := c.SetIfEqual(t.Context(), Swap{Key: "k", Old: "a", New: "b", Expiry: "PX", At: 1})
					mu.Lock()
					defer mu.Unlock()
					if ok {
						got++
					} else if err == nil || errors.Is(err, redis.Nil) {
						t.Errorf("%s: not done, and %v", what, err)
					}
				})
				synctest.Wait() // one after the other
			}
			wg.Wait()
			if server.sent != sent || got != done {
				t.Errorf("%s: sent %d times, done %d times, want %d and %d", what, server.sent, got, sent, done)
			}
		}
		const pause = 10 * time.Minute
		older, broken := refusal("ERR syntax error"), errors.New("reset")
		step("an older server", 0, older, 1, 0)
		step("upgraded, too soon", pause-time.Second, nil, 0, 0)
		step("still older", 2*time.Second, older, 1, 0)
		step("upgraded", pause, nil, 8, 8)
		step("a connection breaks", pause, broken, 8, 0)
		step("whole again", 0, nil, 8, 8)
		step("a failover to an older one", 0, older, 1, 0)
		step("a connection breaks at the second try", pause, broken, 8, 0)
		step("whole and upgraded", 0, nil, 8, 8)
	})
}

// While one caller tries the command again, the others do not wait for it.
func TestOneCallerTriesIFEQAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &replying{err: refusal("ERR syntax error")}
		c := New(server)
		swap := Swap{Key: "k", Old: "a", New: "b", Expiry: "PX", At: 1}
		if _, err := c.SetIfEqual(t.Context(), swap); !errors.Is(err, ErrNoIFEQ) {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		server.err, server.held = nil, make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if done, err := c.SetIfEqual(t.Context(), swap); !done || err != nil {
				t.Errorf("the one that tries: %t, %v", done, err)
			}
		})
		synctest.Wait() // the reply takes its time
		if done, err := c.SetIfEqual(t.Context(), swap); done || !errors.Is(err, ErrNoIFEQ) {
			t.Errorf("during the try: %t, %v", done, err)
		}
		close(server.held)
		wg.Wait()
		if done, err := c.SetIfEqual(t.Context(), swap); !done || err != nil {
			t.Errorf("after it: %t, %v", done, err)
		}
	})
}
