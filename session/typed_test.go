package session_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

type cart struct {
	Items []string
	Since time.Time
	Total int64
}

func TestTypedKeysAndFlashes(t *testing.T) {
	const place, number = session.Key[cart]("cart"), session.Key[int]("cart")
	want := cart{[]string{"a", "b"}, time.Date(2026, 11, 21, 1, 2, 3, 4, time.UTC), 1 << 62}
	s := newSite(t, redistest.Standalone(t), redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		switch r.URL.Path {
		case "/put":
			if err := place.Put(ctx, m, want); err != nil {
				t.Error(err)
			}
			m.Put(ctx, "plain", 1)
			m.AddFlash(ctx, "success", "saved")
			m.AddFlash(ctx, "error", "not quite")
		case "/get":
			got, ok, err := place.Get(ctx, m)
			if !ok || err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, %v, %v, want %v", got, ok, err, want)
			}
			if n, ok, err := number.Get(ctx, m); n != 0 || ok || err == nil {
				t.Errorf("another type: got %v, %v, %v", n, ok, err)
			}
			if _, ok, err := session.Key[int]("plain").Get(ctx, m); ok || err == nil {
				t.Errorf("a value of scs' own: %v, %v", ok, err)
			}
			if _, ok, err := session.Key[int]("none").Get(ctx, m); ok || err != nil {
				t.Errorf("none: %v, %v", ok, err)
			}
			fmt.Fprint(w, m.Flashes(ctx))
		case "/pop":
			_, first, _ := place.Pop(ctx, m)
			_, second, _ := place.Pop(ctx, m)
			m.Remove(ctx, string(place))
			fmt.Fprint(w, first, second, m.Flashes(ctx))
		}
	})
	c, _ := cookie(s.ask("/put", ""))
	if got := s.ask("/get", c).Body.String(); got != "[{success saved} {error not quite}]" {
		t.Errorf("flashes: %s", got)
	}
	if got := s.ask("/pop", c).Body.String(); got != "true false []" {
		t.Errorf("pop: %s", got)
	}
	if err := session.Key[chan int]("c").Put(t.Context(), s.Manager, nil); err == nil {
		t.Error("a channel was stored")
	}
}
