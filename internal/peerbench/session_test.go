package peerbench

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// BenchmarkSession reads and writes sessions, each goroutine its own, beside scs with its
// redisstore. A write changes a number in a session of that size; the next one
// fails if the number is not there.
func BenchmarkSession(b *testing.B) {
	for _, s := range sessions() {
		s.run(b)
	}
}

func sessions() []scenario {
	var all []scenario
	for _, work := range []struct {
		name string
		size int
		path string
	}{{"read", sessionSize, "/user"}, {"write", sessionSize, "/count"}, {"write-8KiB", 8 << 10, "/count"}} {
		contend := func(name string, make func(e *env) (data, func(http.Handler) http.Handler)) contender {
			return contender{name, func(e *env) begin {
				m, wrap := make(e)
				return inSession(e.tb, wrap(counting(m, login(m, work.size))), work.path)
			}}
		}
		all = append(all, scenario{
			name: work.name, base: get(work.size), goroutines: []int{1, 64, 256}, delays: []time.Duration{0, time.Millisecond},
			all: []contender{
				contend(client, ourSessions(client)), contend(batched, ourSessions(batched)),
				contend("scs+redisstore", func(e *env) (data, func(http.Handler) http.Handler) {
					m := e.scs()
					return m, m.LoadAndSave
				}),
				getSet(work.size),
			},
		})
	}
	return all
}

func ourSessions(name string) func(e *env) (data, func(http.Handler) http.Handler) {
	return func(e *env) (data, func(http.Handler) http.Handler) {
		m := e.sessions(e.pick(name))
		return m, m.Handler
	}
}

// counting adds one to the session's number for /count, and responds with it.
func counting(m data, other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/count" {
			other.ServeHTTP(w, r)
			return
		}
		n, _ := strconv.Atoi(m.GetString(r.Context(), "n"))
		text := strconv.Itoa(n + 1)
		m.Put(r.Context(), "n", text)
		_, _ = w.Write([]byte(text))
	})
}

// inSession are visitors that are logged in and expect their name, or a count.
func inSession(tb testing.TB, h http.Handler, path string) begin {
	return func(i int) func() error {
		v := newVisitor(i, path)
		v.logIn(tb, h)
		n := 0
		return func() error {
			want := []byte(user)
			if path == "/count" {
				n++
				want = []byte(strconv.Itoa(n))
			}
			return v.get(h, "", want)
		}
	}
}

// getSet is what a session that is changed costs by hand.
func getSet(size int) contender {
	return contender{"bare-GET+SET", func(e *env) begin {
		rdb, body := e.goredis(), random(size)
		return func(i int) func() error {
			key := "bare:session:" + strconv.Itoa(i)
			e.set(rdb, key, body)
			return func() error {
				if err := same(rdb.Get(context.Background(), key), body); err != nil {
					return err
				}
				return rdb.SetArgs(context.Background(), key, body, redis.SetArgs{TTL: time.Hour}).Err()
			}
		}
	}}
}
