package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/internal/personal"
	"github.com/redishttp/redishttp/internal/redistest"
)

// watched is an outer middleware that knows whether the handler has read who asks.
func watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var read atomic.Bool
		ctx := context.WithValue(r.Context(), personal.Key{}, reader{&read})
		ctx = context.WithValue(ctx, readKey{}, &read)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

type readKey struct{}

// visitor reads who asks.
func visitor(r *http.Request) string {
	r.Context().Value(readKey{}).(*atomic.Bool).Store(true)
	return r.Header.Get("X-Visitor")
}

// A page that streams and reads the session after its first byte is for one
// visitor, however large it is and whoever waits for it.
func TestASessionReadAfterTheFirstByte(t *testing.T) {
	for _, tc := range []struct {
		name, control string
		size          int
		stored        bool
	}{
		{"small", "max-age=60", 10, false},
		{"beyond the first part", "max-age=60", 100_000, false},
		{"in pieces", "max-age=60", 1_000_000, false},
		{"for all", "public, max-age=60", 10, true},
	} {
		for _, h2 := range []bool{false, true} {
			rdb := redistest.Standalone(t).Client(t)
			c := newCache(t, rdb)
			srv := server(t, h2, watched(c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", tc.control)
				io.WriteString(w, strings.Repeat("x", tc.size))
				http.NewResponseController(w).Flush()
				fmt.Fprint(w, "hello ", visitor(r))
			}))))
			var wg sync.WaitGroup
			for i := range 10 { // a crowd
				wg.Go(func() {
					who := fmt.Sprint("visitor", i)
					_, body := get(t, srv.Client(), "GET", srv.URL, "X-Visitor: "+who)
					if !tc.stored && !strings.HasSuffix(body, "hello "+who) {
						t.Errorf("%s: %s was greeted with %q", tc.name, who, body[tc.size:])
					}
				})
			}
			wg.Wait()
			if _, body := get(t, srv.Client(), "GET", srv.URL, "X-Visitor: last"); strings.HasSuffix(body, "hello last") == tc.stored {
				t.Errorf("%s, http2=%v: the last visitor was greeted with %q", tc.name, h2, body[tc.size:])
			}
			if fills := c.Stats().Fills; (fills > 0) != tc.stored {
				t.Errorf("%s: %d stored", tc.name, fills)
			}
		}
	}
}

// The answer says what became of it to hooks as well: a page that was dropped is not stored.
func TestADroppedPageLeavesNoPieces(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	c := newCache(t, rdb)
	h := watched(c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, strings.Repeat("x", 1_000_000))
		visitor(r)
	})))
	do(h, "GET", "/")
	redistest.Eventually(t, patience, func() bool {
		n := 0
		for _, kind := range []string{"c", "e"} {
			keys, err := rdb.Keys(t.Context(), c.KeyPrefix()+"*:"+kind+":*").Result()
			if err != nil {
				t.Fatal(err)
			}
			n += len(keys)
		}
		return n == 0
	}, "pieces stay")
}

// Trailers are not kept, so what has some is not stored: announced or not.
func TestTrailersThatComeLate(t *testing.T) {
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "page")
		w.Header().Set(http.TrailerPrefix+"Digest", "1")
	}))
	for range 2 {
		if w := do(h, "GET", "/"); strings.Contains(w.Header().Get("Cache-Status"), "hit") {
			t.Errorf("%s: the trailer is lost", w.Header().Get("Cache-Status"))
		}
	}
}

// reader is a session that was read, or not yet.
type reader struct{ read *atomic.Bool }

func (r reader) HasReadClient() bool { return r.read.Load() }
