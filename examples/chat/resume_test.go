package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

const lobby = "chat:v1:{lobby}:messages"

var kinds = map[string]kind{"events": overEvents, "socket": overSocket}

// numbered are texts from to below to.
func numbered(from, to int) (texts []string) {
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprint("m", i))
	}
	return texts
}

// fill says m0 to m<n-1> without HTTP, and returns their ids.
func fill(t *testing.T, rdb redis.UniversalClient, n int, pad string) (ids []string) {
	t.Helper()
	pipe := rdb.Pipeline()
	for _, text := range numbered(0, n) {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: lobby, Values: []string{"from", "x", "name", "X", "text", text + pad}})
	}
	cmds, err := pipe.Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cmds {
		ids = append(ids, c.(*redis.StringCmd).Val())
	}
	return ids
}

// A client that comes back gets what came after the message that it saw last:
// from memory, from the stream, and with a word of warning where the stream has
// that message no more.
func TestResume(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	ids, texts := fill(t, rdb, 500, ""), numbered(0, 500)
	base := serve(t, server.URL(), func(c *config) { c.keep = 100 })
	ann := join(t, base, "Ann")
	later := func(s string, ms int) string {
		i, err := parseID(s)
		if err != nil {
			t.Fatal(err)
		}
		return id{i.ms + uint64(ms), i.seq}.String()
	}
	// Positions count from the end of n messages.
	for name, test := range map[string]struct {
		after func(n int) string
		want  int // so many of the last
		gap   bool
	}{
		"somebody new":            {func(int) string { return "" }, 50, false},
		"the last":                {func(n int) string { return ids[n-1] }, 0, false},
		"in memory":               {func(n int) string { return ids[n-20] }, 19, false},
		"the oldest in memory":    {func(n int) string { return ids[n-100] }, 99, false},
		"the one before it":       {func(n int) string { return ids[n-101] }, 100, false},
		"only in the stream":      {func(n int) string { return ids[n-102] }, 101, false},
		"several reads away":      {func(n int) string { return ids[n-450] }, 449, false},
		"before all, and trimmed": {func(int) string { return later(ids[0], -1000) }, -1, true},
		"from the beginning":      {func(int) string { return "0-0" }, -1, false},
		"of the future":           {func(n int) string { return later(ids[n-1], 1_000_000_000) }, 0, true},
		"of the end of time":      {func(int) string { return "18446744073709551615-18446744073709551615" }, 0, true},
	} {
		for transport, over := range kinds {
			t.Run(name+"/"+transport, func(t *testing.T) {
				n := len(texts)
				want := slices.Clone(texts)
				if test.want >= 0 {
					want = want[n-test.want:]
				}
				if test.gap {
					want = slices.Insert(want, 0, "(gap)")
				}
				r := read(t, over, test.after(n), base)
				r.wants(want...)
				// It goes on from there, whatever it said it had seen.
				text := fmt.Sprint("m", n)
				ann.say(text)
				r.wants(append(want, text)...)
				events := r.got()
				ids, texts = append(ids, events[len(events)-1].ID), append(texts, text)
			})
		}
	}
	for _, bad := range []string{"x", "1", "1-", "-1", "1-2-3", "1.5-0", "99999999999999999999999-0", strings.Repeat("1", 1<<10) + "-0"} {
		for transport, over := range kinds {
			_, err := over(somebody(t, base), t.Context(), bad)
			if r, ok := errors.AsType[*refused](err); !ok || r.StatusCode != http.StatusBadRequest {
				t.Errorf("%s after %q: %v", transport, bad, err)
			}
		}
	}
}

// An instance that has not read a message yet, which a client has seen on
// another one, neither warns nor sends it again.
func TestResumeOnAnInstanceThatIsLate(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	fill(t, rdb, 3, "")
	conn, err := connect.Open(server.URL(), connect.WithName("chat"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	r := newRoom(newStream(conn, "lobby", defaults()), 10, slog.New(slog.DiscardHandler))
	if err := r.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := fill(t, rdb, 5, "") // nobody reads for this room
	seen, err := parseID(ids[3])
	if err != nil {
		t.Fatal(err)
	}
	c := &recorder{}
	at, err := r.begin(t.Context(), &seen, c)
	if err != nil || at != seen || len(c.got) != 0 {
		t.Errorf("began at %v with %q, %v, want at %v", at, c.got, err, seen)
	}
	if err := r.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if messages, _, ok := r.since(at); !ok || len(messages) != 1 || messages[0].id.String() != ids[4] {
		t.Errorf("goes on with %v, %v", messages, ok)
	}
}

type recorder struct{ got []string }

func (r *recorder) send(_ context.Context, messages []message) error {
	for _, m := range messages {
		r.got = append(r.got, m.id.String())
	}
	return nil
}

func (r *recorder) gap(context.Context) error  { r.got = append(r.got, "(gap)"); return nil }
func (r *recorder) beat(context.Context) error { return nil }

// The stream was trimmed under a client's feet.
func TestResumeAfterATrim(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	ids := fill(t, rdb, 300, "")
	base := serve(t, server.URL(), func(c *config) { c.keep = 10 })
	if err := rdb.XTrimMaxLen(t.Context(), lobby, 200).Err(); err != nil {
		t.Fatal(err)
	}
	for _, over := range kinds {
		read(t, over, ids[50], base).wants(append([]string{"(gap)"}, numbered(100, 300)...)...)
		read(t, over, ids[150], base).wants(numbered(151, 300)...)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("1718000000000-0")
	f.Add("-")
	f.Fuzz(func(t *testing.T, s string) {
		i, err := parseID(s)
		if err != nil {
			return
		}
		if again, err := parseID(i.String()); again != i || err != nil {
			t.Errorf("%q became %v and then %v, %v", s, i, again, err)
		}
	})
}
