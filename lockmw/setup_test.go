package lockmw_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/lockkey"
)

// logged is a log that tests read.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logged) option() lockmw.Option {
	return lockmw.WithLogger(slog.New(slog.NewTextHandler(l, nil)))
}

// restricted is a client of a user with these rights.
func restricted(t *testing.T, s *redistest.Server, user string, rights ...any) *redis.Client {
	t.Helper()
	args := append([]any{"acl", "setuser", user, "on", ">pw", "~*", "&*", "+@all"}, rights...)
	if err := s.Client(t).Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	opt := s.Options()
	opt.Username, opt.Password = user, "pw"
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// A Redis that answers but is not set up for locks is not an outage: the handler
// does not run without the lock, whatever the FailureMode, and the log says why.
func TestAMistakeIsNotAnOutage(t *testing.T) {
	t.Parallel()
	s, replica := redistest.NewServer(t), redistest.NewServer(t)
	host, port, _ := strings.Cut(s.Addr(), ":")
	if err := replica.Client(t).Do(t.Context(), "replicaof", host, port).Err(); err != nil {
		t.Fatal(err)
	}
	db := func(n int) *redis.Client {
		opt := s.Options()
		opt.DB = n
		rdb := redis.NewClient(opt)
		t.Cleanup(func() { _ = rdb.Close() })
		return rdb
	}
	cluster := redistest.Cluster(t)
	var members []lockmw.Client
	var mu sync.Mutex
	cluster.Client(t).(*redis.ClusterClient).ForEachMaster(t.Context(), func(_ context.Context, c *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		members = append(members, redisClient(t, c.Options().Addr))
		return nil
	})
	one := func(rdb lockmw.Client) func(...lockmw.Option) (*lockmw.Locker, error) {
		return func(opts ...lockmw.Option) (*lockmw.Locker, error) { return lockmw.New(rdb, opts...) }
	}
	several := func(nodes ...lockmw.Client) func(...lockmw.Option) (*lockmw.Locker, error) {
		return func(opts ...lockmw.Option) (*lockmw.Locker, error) { return lockmw.NewRedlock(nodes, opts...) }
	}
	other := redistest.NewServer(t)
	wrong := *restricted(t, s, "someone").Options()
	wrong.Password = "wrong"
	refused := redis.NewClient(&wrong)
	t.Cleanup(func() { _ = refused.Close() })
	short := []lockmw.Option{lockmw.WithTimeout(500 * time.Millisecond)}
	for name, tc := range map[string]struct {
		new    func(...lockmw.Option) (*lockmw.Locker, error)
		opts   []lockmw.Option
		before func(prefix string)
		status int
		reason string // in the log
	}{
		"another type at the key": {new: one(s.Client(t)), status: 500, reason: "WRONGTYPE", before: func(prefix string) {
			l := locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix))
			acquire(t, l, "/p").Release(t.Context())
			key := s.Client(t).Keys(t.Context(), prefix+"*").Val()[0]
			s.Client(t).Del(t.Context(), key)
			s.Client(t).LPush(t.Context(), key, "x")
		}},
		"another value at the key": {new: one(s.Client(t)), status: 500, reason: "script", before: func(prefix string) {
			l := locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix))
			acquire(t, l, "/p").Release(t.Context())
			s.Client(t).Set(t.Context(), s.Client(t).Keys(t.Context(), prefix+"*").Val()[0], "x", time.Minute)
		}},
		"a user without scripts":       {new: one(restricted(t, s, "noscripts", "-evalsha", "-eval")), status: 500, reason: "NOPERM"},
		"a user without a command":     {new: one(restricted(t, s, "noset", "-set")), status: 500, reason: "not set up for locks: evalsha: ERR"},
		"a user without the keys":      {new: one(restricted(t, s, "nokeys", "resetkeys", "~other*")), status: 500, reason: "NOPERM"},
		"a wrong password":             {new: one(refused), status: 500, reason: "WRONGPASS"},
		"a replica":                    {new: one(replica.Client(t)), opts: []lockmw.Option{lockmw.WithWait(0)}, status: 503, reason: "READONLY"},
		"a replica, after a wait":      {new: one(replica.Client(t)), opts: []lockmw.Option{lockmw.WithWait(200 * time.Millisecond)}, status: 503, reason: "READONLY"},
		"readers, a replica":           {new: one(replica.Client(t)), opts: []lockmw.Option{lockmw.WithWait(0), lockmw.WithReadWrite(true)}, status: 503, reason: "READONLY"},
		"readers, a user without zset": {new: one(restricted(t, s, "nozset", "-zadd")), opts: []lockmw.Option{lockmw.WithReadWrite(true)}, status: 500, reason: "not set up for locks: evalsha: ERR"},
		"another number of permits": {new: one(s.Client(t)), opts: []lockmw.Option{lockmw.WithPermits(2)}, status: 503, reason: "permits", before: func(prefix string) {
			l := locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix), lockmw.WithPermits(3))
			k := acquire(t, l, "/p")
			t.Cleanup(func() { _ = k.Release(context.Background()) })
		}},
		"masters that are one server":            {new: several(db(0), db(1), db(2)), status: 500, reason: "are one server"},
		"two of three are one server":            {new: several(db(0), db(1), other.Client(t)), status: 500, reason: "are one server"},
		"masters, one of them a replica":         {new: several(s.Client(t), other.Client(t), replica.Client(t)), status: 500, reason: "is not a master"},
		"masters of one cluster":                 {new: several(members...), status: 500, reason: "is part of a cluster"},
		"masters, one of which refuses scripts":  {new: several(s.Client(t), restricted(t, other, "noscripts", "-evalsha", "-eval"), redisClient(t, "127.0.0.1:1")), opts: short, status: 500, reason: "NOPERM"},
		"masters, most of which are of one user": {new: several(restricted(t, s, "noset3", "-set"), restricted(t, other, "noset3", "-set"), redisClient(t, "127.0.0.1:1")), opts: short, status: 500, reason: "not set up for locks: evalsha: ERR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := redistest.Prefix(t)
			if tc.before != nil {
				tc.before(prefix)
			}
			var log logged
			var failed error
			l, err := tc.new(append([]lockmw.Option{
				lockmw.WithKeyPrefix(prefix), lockmw.WithFailureMode(lockmw.DangerouslyFailOpen), lockmw.WithTimeout(2 * time.Second), log.option(),
				lockmw.WithHooks(lockmw.Hooks{Failed: func(_ context.Context, err error) { failed = err }}),
			}, tc.opts...)...)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close(context.Background())
			w := request(l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran without a lock") })), "POST", "/p")
			if w.Code != tc.status || (w.Header().Get("Retry-After") != "") != (tc.status == 503) {
				t.Errorf("got %d, Retry-After %q, want %d", w.Code, w.Header().Get("Retry-After"), tc.status)
			}
			if !errors.Is(failed, lockmw.ErrSetup) || errors.Is(failed, lockmw.ErrUnavailable) != (tc.status == 503) {
				t.Errorf("Failed was told %v, want ErrSetup", failed)
			}
			if got := log.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "not set up") || !strings.Contains(got, tc.reason) {
				t.Errorf("log: %q, want the reason %q", got, tc.reason)
			}
			if strings.Contains(w.Body.String(), tc.reason) {
				t.Errorf("the client is told: %s", w.Body)
			}
		})
	}
}

// Bootstrap finds nodes that are not masters before the first request does.
func TestBootstrapFindsMistakes(t *testing.T) {
	s, other := redistest.NewServer(t), redistest.NewServer(t)
	var nodes []lockmw.Client
	for n := range 3 {
		opt := s.Options()
		opt.DB = n
		rdb := redis.NewClient(opt)
		defer rdb.Close()
		nodes = append(nodes, rdb)
	}
	l, err := lockmw.NewRedlock(nodes)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(t.Context())
	var mistake *lockmw.OptionError
	if err := l.Bootstrap(t.Context()); !errors.Is(err, lockmw.ErrSetup) || errors.Is(err, lockmw.ErrUnavailable) || !errors.As(err, &mistake) {
		t.Errorf("got %v, want ErrSetup and an OptionError", err)
	}
	if n := s.Client(t).DBSize(t.Context()).Val(); n > 1 {
		t.Errorf("%d keys were written to what is no master of its own", n)
	}
	rdb := s.Client(t)
	if _, err := lockmw.NewRedlock([]lockmw.Client{rdb, other.Client(t), rdb}); err == nil || !strings.Contains(err.Error(), "nodes 1 and 3 are one client") {
		t.Errorf("one client twice: %v", err)
	}
	if _, err := lockmw.NewRedlock([]lockmw.Client{rdb, other.Client(t), ring(t)}); err == nil || !strings.Contains(err.Error(), "node 3 is a ring") {
		t.Errorf("a ring: %v", err)
	}
}

// A request without a key is refused, and the log and the hook say why.
func TestNoKeySaysWhy(t *testing.T) {
	why := errors.New("the header is missing")
	for name, tc := range map[string]struct {
		key  lockmw.KeyFunc
		want error
	}{
		"an error":   {func(*http.Request) (string, error) { return "", why }, why},
		"no pattern": {lockkey.Pattern, lockkey.ErrNoPattern},
		"empty":      {func(*http.Request) (string, error) { return "", nil }, lockmw.ErrNoKey},
	} {
		var log logged
		var failed error
		l := locker(t, redistest.Standalone(t).Client(t), lockmw.WithKey(tc.key), log.option(), lockmw.WithHooks(lockmw.Hooks{Failed: func(_ context.Context, err error) { failed = err }}))
		w := request(l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Errorf("%s: the handler ran", name) })), "POST", "/p")
		if w.Code != 500 || !strings.Contains(w.Body.String(), "no key") {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
		if !errors.Is(failed, tc.want) || !errors.Is(failed, lockmw.ErrNoKey) {
			t.Errorf("%s: Failed was told %v, want %v", name, failed, tc.want)
		}
		if got := log.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, fmt.Sprint(tc.want)) {
			t.Errorf("%s: log %q, want %v", name, got, tc.want)
		}
	}
}
