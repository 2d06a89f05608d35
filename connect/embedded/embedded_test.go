package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/connect/redigopool"
	"github.com/redishttp/redishttp/internal/redistest"
)

const patience = 20 * time.Second

func open(t *testing.T, opts ...embedded.ServerOption) *connect.Conn {
	t.Helper()
	conn, err := connect.Open("embedded://", connect.WithName("dev"), embedded.Option(opts...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func TestServesWhatTheMiddlewaresUse(t *testing.T) {
	redistest.NoLeaks(t)
	conn := open(t)
	if err := conn.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	rdb := conn.Client()
	pool, err := redigopool.New(rdb)
	if err != nil {
		t.Fatal(err)
	}
	store := redisstore.New(pool)
	if err := store.Commit("a", []byte("x"), time.Now().Add(time.Hour)); err != nil {
		t.Errorf("redisstore: %v", err)
	}
	if _, found, err := store.Find("a"); !found || err != nil {
		t.Errorf("redisstore: got %v, %v", found, err)
	}
	limiter := redis_rate.NewLimiter(rdb)
	allowed := 0
	for range 20 {
		if res, err := limiter.Allow(t.Context(), "k", redis_rate.PerHour(10)); err != nil {
			t.Fatal(err)
		} else if res.Allowed > 0 {
			allowed++
		}
	}
	if allowed != 10 {
		t.Errorf("redis_rate: %d of 20 allowed, want 10", allowed)
	}
	big, err := rdb.Eval(t.Context(), "return string.format('%.0f', 1790812800123456 + ARGV[1])", nil, 1).Text()
	if big != "1790812800123457" || err != nil {
		t.Errorf("integers in Lua: got %s, %v", big, err)
	}
	if h := conn.Health(t.Context()); !h.OK {
		t.Errorf("health: %+v", h)
	}
}

func TestKeysExpire(t *testing.T) {
	rdb := open(t).Client()
	start := time.Now()
	rdb.Set(t.Context(), "k", "v", 300*time.Millisecond)
	redistest.Eventually(t, patience, func() bool { return errors.Is(rdb.Get(t.Context(), "k").Err(), redis.Nil) }, "the key does not expire")
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("a key of 300ms lived %v", took)
	}
}

func TestServersAreApartAndProtected(t *testing.T) {
	var log bytes.Buffer
	a, err := embedded.Start(embedded.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if a.Password() == b.Password() || len(a.Password()) < 20 {
		t.Error("the passwords are not random")
	}
	if s := fmt.Sprint(a) + log.String(); strings.Contains(s, a.Password()) || !strings.Contains(s, "development") {
		t.Errorf("String and log: %s", s)
	}
	stranger := redis.NewClient(&redis.Options{Addr: a.Addr(), Password: "wrong"})
	defer stranger.Close()
	if err := stranger.Ping(t.Context()).Err(); err == nil {
		t.Error("a wrong password is let in")
	}
	conn, err := connect.Open(a.URL(), connect.WithName("other"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestOptions(t *testing.T) {
	if _, err := embedded.Start(embedded.WithProduction(true)); !errors.Is(err, embedded.ErrProduction) {
		t.Errorf("production: got %v", err)
	}
	for _, opt := range []embedded.ServerOption{embedded.WithLogger(nil), embedded.WithMaxKeys(0)} {
		if _, err := embedded.Start(opt, nil); err == nil {
			t.Error("a wrong option is taken")
		}
	}
	rdb := open(t, embedded.WithMaxKeys(10)).Client()
	for i := range 20 {
		rdb.Set(t.Context(), fmt.Sprint(i), 1, 0)
	}
	redistest.Eventually(t, patience, func() bool { return rdb.DBSize(t.Context()).Val() == 0 }, "memory grows without bound")
}

func ExampleOption() {
	conn, err := connect.Open("embedded://", embedded.Option())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	fmt.Println(conn.Client().Ping(context.Background()).Val())
	// Output: PONG
}

// The cache asks for the replication ID, in a script; a developer gets no warning
// about failovers of a server that has none.
func TestTellsItsReplicationID(t *testing.T) {
	rdb := open(t).Client()
	id := func(rdb redis.UniversalClient) string {
		t.Helper()
		text, err := rdb.Eval(t.Context(), `return string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')`, nil).Text()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if one, again, other := id(rdb), id(rdb), id(open(t).Client()); one == "" || one != again || one == other {
		t.Errorf("got %q, %q and of another server %q", one, again, other)
	}
	var log bytes.Buffer
	responses, err := cache.New(rdb, cache.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	h := responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusOK)
	}))
	status := ""
	for range 2 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		status = w.Header().Get("Cache-Status")
	}
	if err := responses.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(status, "hit") || log.Len() > 0 {
		t.Errorf("got %q, and the log says %q", status, &log)
	}
}
