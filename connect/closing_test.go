package connect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// While Close waits for a call, probes are answered and no method hangs.
func TestCloseHoldsUpNothing(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		set, key := connect.NewSet(connect.WithTimeouts(connect.Timeouts{Read: patience})), redistest.Prefix(t)
		for _, name := range []string{"first", "second"} {
			if err := set.Add(name, g.URL); err != nil {
				t.Fatal(err)
			}
		}
		ready, live := set.HealthHandler("first"), set.LivenessHandler()
		if err := set.Ready(within(t, patience)); err != nil {
			t.Fatal(err)
		}
		conn, err := set.Get("second")
		if err != nil {
			t.Fatal(err)
		}
		own := conn.HealthHandler()
		for name, h := range map[string]http.Handler{"readiness": ready, "liveness": live, "of the connection": own} {
			if code, text, _ := get(t, h, "GET"); code != 200 {
				t.Errorf("%s before: got %d %s", name, code, text)
			}
		}
		popped, closed := make(chan error, 1), make(chan error, 1)
		go func() { popped <- conn.Client().BLPop(t.Context(), 0, key).Err() }()
		redistest.Eventually(t, patience, func() bool { return conn.Stats().InFlight == 1 }, "the call does not begin")
		go func() { closed <- set.Close(within(t, patience)) }()
		redistest.Eventually(t, patience, func() bool { _, err := set.Get("first"); return errors.Is(err, connect.ErrClosed) }, "Close does not begin")
		redistest.Eventually(t, patience, func() bool { _, err := conn.Nodes(t.Context()); return errors.Is(err, connect.ErrClosed) }, "Close does not reach the connection")

		at := func(what string, do func() error) {
			t.Helper()
			done := make(chan error, 1)
			go func() { done <- do() }()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			case <-time.After(patience / 2):
				t.Errorf("%s hangs", what)
			}
		}
		probe := func(h http.Handler, code int, status string) func() error {
			return func() error {
				if got, text, body := get(t, h, "GET"); got != code || body["status"] != status {
					return fmt.Errorf("got %d %s, want %d %s", got, text, code, status)
				}
				return nil
			}
		}
		refused := func(err error) error {
			if !errors.Is(err, connect.ErrClosed) {
				return fmt.Errorf("got %w, want ErrClosed", err)
			}
			return nil
		}
		at("readiness", probe(ready, 503, "closing"))
		at("liveness", probe(live, 200, "ok"))
		at("readiness of the connection", probe(own, 503, "closing"))
		at("Set.Health", func() error {
			for name, h := range set.Health(t.Context()) {
				if h.OK || h.Error == "" {
					return fmt.Errorf("%s: %+v", name, h)
				}
			}
			return nil
		})
		at("Set.Add", func() error {
			if set.Add("third", g.URL) == nil {
				return errors.New("no error")
			}
			return nil
		})
		at("Set.Ready", func() error { return refused(set.Ready(t.Context())) })
		at("Set.Names", func() error { _ = set.Names(); _ = set.String(); return nil })
		at("Set.Alias", func() error { return set.Alias("role", "first") })
		at("Set.All", func() error {
			for name := range set.All() {
				return fmt.Errorf("%s is offered", name)
			}
			return nil
		})
		at("Conn.Health", func() error {
			if h := conn.Health(t.Context()); h.OK {
				return fmt.Errorf("%+v", h)
			}
			return nil
		})
		at("Conn.Ready", func() error { return refused(conn.Ready(t.Context())) })
		at("Conn.Stats", func() error { _ = conn.Stats(); _ = conn.Info(); return nil })
		at("Conn.Server", func() error { _, err := conn.Server(t.Context(), "h:1"); return refused(err) })
		at("Conn.Keys", func() error {
			for _, err := range conn.Keys(t.Context(), "*") {
				return refused(err)
			}
			return errors.New("no error")
		})
		at("Conn.EachMaster", func() error {
			return refused(conn.EachMaster(t.Context(), func(context.Context, *redis.Client) error { return nil }))
		})
		select {
		case err := <-closed:
			t.Errorf("Close has not waited for the call: %v", err)
		default:
		}
		if err := g.Client(t).RPush(t.Context(), key, "x").Err(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(<-popped, <-closed); err != nil {
			t.Error(err)
		}
		at("liveness afterwards", probe(live, 503, "unavailable"))
		at("readiness afterwards", probe(ready, 503, "closing"))
	})
}
