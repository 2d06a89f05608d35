package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// patience bounds what must happen, on a busy machine too.
const patience = 20 * time.Second

// settings are those of one fleet: stores that are opened with the same ones share
// their entries.
func settings(t testing.TB) Settings {
	return Settings{
		Prefix: redistest.Prefix(t), Name: "test", Buckets: 1, ReadTimeout: patience, WriteTimeout: patience,
		MaxVariants: 100, LeaseTTL: time.Minute, RefreshTimeout: time.Minute,
		Rules:  &rules.Rules{MaxTTL: 24 * time.Hour, Retention: 10 * time.Minute, MaxBody: 8 << 20},
		Logger: slog.New(slog.DiscardHandler), Failed: func(context.Context, error) {},
	}
}

// open returns the store of one instance, which is closed when the test ends.
func open(t testing.TB, rdb client, set Settings) *Store {
	t.Helper()
	s := New(rdb, set)
	redistest.CloseAfter(t, patience, s)
	return s
}

// alone is a store on the shared server, with keys of its own.
func alone(t testing.TB) (*Store, redis.UniversalClient) {
	t.Helper()
	rdb := redistest.Standalone(t).Client(t)
	return open(t, rdb, settings(t)), rdb
}

// target is the primary key of a path.
func target(path string) string { return cachekey.Join("http", "example.com", path, "") }

// header makes request or response fields of "Name: value" lines.
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// entry is a response that is fresh for a minute and kept for an hour.
func entry(body string, lines ...string) *Entry {
	return &Entry{
		Status: 200, Header: header(lines...), Size: int64(len(body)), Body: []byte(body),
		Verdict: rules.Verdict{Lives: rules.Lives{Fresh: time.Minute, Keep: time.Hour}},
	}
}

func tagged(e *Entry, tags ...string) *Entry {
	e.Tags = tags
	return e
}

// find looks up and must not fail.
func find(t testing.TB, s *Store, p Place, h http.Header) Found {
	t.Helper()
	f, err := s.Find(t.Context(), p, h, false)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// acquire looks up with a lease, which must be there.
func acquire(t testing.TB, s *Store, p Place, h http.Header) Found {
	t.Helper()
	f, err := s.Find(t.Context(), p, h, true)
	if err != nil || f.Lease == "" {
		t.Fatalf("a look-up with a lease: got lease %q, %v", f.Lease, err)
	}
	return f
}

// put looks up and stores an entry.
func put(t testing.TB, s *Store, p Place, h http.Header, e *Entry) Found {
	t.Helper()
	f := find(t, s, p, h)
	if err := s.Fill(t.Context(), f, h, e); err != nil {
		t.Fatal(err)
	}
	return f
}

// served is the inline body that a look-up finds, "" for a miss.
func served(t testing.TB, s *Store, p Place, h http.Header) string {
	t.Helper()
	f := find(t, s, p, h)
	if f.Entry == nil {
		return ""
	}
	b, err := f.Entry.Inline()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ready has a store know its scripts, so that round trips can be counted.
func ready(t testing.TB, s *Store) {
	t.Helper()
	p := s.Place(target("/ready"), "")
	f := acquire(t, s, p, nil)
	s.MarkHitForMiss(t.Context(), &f, plain, time.Minute)
	redistest.NoErrors(t, s.Fill(t.Context(), f, nil, entry("ready")), s.Purge(t.Context(), p.Mark(false)))
}

// record stores a body of any size, and returns what was looked up for it.
func record(t testing.TB, s *Store, p Place, body []byte, lines ...string) Found {
	t.Helper()
	f := find(t, s, p, nil)
	fail := func(what string) func() { return func() { t.Errorf("the recorder reports a body that is %s", what) } }
	r := s.Record(t.Context(), &f, fail("too large"), fail("lost"))
	r.On = true
	for rest := body; len(rest) > 0; {
		n := min(len(rest), 1+rand.IntN(100<<10))
		r.Write(rest[:n], nil)
		rest = rest[n:]
	}
	e := entry("", lines...)
	if !r.Finish(e) {
		t.Fatal("the body was not kept")
	}
	redistest.NoErrors(t, s.Fill(t.Context(), f, nil, e))
	return f
}

// reading opens the stored body of a place.
func reading(t testing.TB, s *Store, p Place) *Body {
	t.Helper()
	f := find(t, s, p, nil)
	if f.Entry == nil {
		t.Fatalf("nothing is stored: %s", f.Reason)
	}
	inline, err := f.Entry.Inline()
	redistest.NoErrors(t, err)
	return s.Open(t.Context(), &f, inline)
}

// noise is bytes that do not compress and differ everywhere.
func noise(size int) []byte {
	b := make([]byte, size)
	_, _ = io.ReadFull(rand.NewChaCha8([32]byte{byte(size)}), b)
	return b
}

// keys are those in Redis that match a pattern.
func keys(t testing.TB, rdb redis.UniversalClient, pattern string) []string {
	t.Helper()
	all, err := rdb.Keys(t.Context(), pattern).Result()
	redistest.NoErrors(t, err)
	return all
}

func exists(t testing.TB, rdb redis.UniversalClient, key string) bool {
	t.Helper()
	n, err := rdb.Exists(t.Context(), key).Result()
	redistest.NoErrors(t, err)
	return n == 1
}

// gone waits until a key is deleted.
func gone(t testing.TB, rdb redis.UniversalClient, key, what string) {
	t.Helper()
	redistest.Eventually(t, patience, func() bool { return !exists(t, rdb, key) }, "%s is still there", what)
}

// ttl must be above 0 and at most most.
func ttl(t testing.TB, rdb redis.UniversalClient, key string, least, most time.Duration) {
	t.Helper()
	got, err := rdb.PTTL(t.Context(), key).Result()
	if err != nil || got < least || got > most {
		t.Errorf("TTL of %s: got %v, %v, want %v to %v", key, got, err, least, most)
	}
}

// spent runs fn and returns how many round trips that took.
func spent(c *redistest.Counter, fn func()) int {
	c.Reset()
	fn()
	return c.Trips()
}

// lines keeps what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// count is how many lines hold text.
func (l *lines) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// failures keeps the errors that Settings.Failed is called with.
type failures struct {
	mu   sync.Mutex
	errs []error
}

func (f *failures) add(_ context.Context, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

func (f *failures) all() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]error(nil), f.errs...)
}

// after runs a function when Redis has replied to the next look-up, before the store has
// the reply.
type after struct {
	mu sync.Mutex
	fn func()
}

func (a *after) next(fn func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fn = fn
}

func (a *after) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (a *after) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (a *after) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if !slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Name() == "hmget" }) {
			return err // the handshake of a connection, for example
		}
		a.mu.Lock()
		fn := a.fn
		a.fn = nil
		a.mu.Unlock()
		if fn != nil {
			fn()
		}
		return err
	}
}

// Close ends what runs in the background before it returns, and nothing is begun
// after it.
func TestCloseWaitsForWhatRunsInTheBackground(t *testing.T) {
	s := New(redistest.Standalone(t).Client(t), settings(t))
	ended := false
	if !s.Background(func(ctx context.Context) {
		<-ctx.Done()
		ended = true
	}) {
		t.Fatal("nothing runs in the background before Close")
	}
	redistest.NoErrors(t, s.Close(t.Context()))
	if !ended {
		t.Error("Close did not wait")
	}
	if s.Background(func(context.Context) { t.Error("begun after Close") }) || !s.Closing() {
		t.Error("the store is not closed")
	}
}

func TestCloseReturnsWhenItsContextEnds(t *testing.T) {
	s := New(redistest.Standalone(t).Client(t), settings(t))
	hold := make(chan struct{})
	s.Background(func(context.Context) { <-hold })
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := fmt.Errorf("the process ends")
	cancel(cause)
	if err := s.Close(ctx); err == nil || !strings.Contains(err.Error(), cause.Error()) {
		t.Errorf("got %v, want %v", err, cause)
	}
	close(hold)
	redistest.NoErrors(t, s.Close(t.Context()))
}

// A cluster runs each script on one node: the keys of a place must share a slot, and
// no two may be one.
func TestKeysOfAPlaceAreInOneSlot(t *testing.T) {
	rdb := redistest.Cluster(t).Client(t)
	set := settings(t)
	set.Buckets = 64
	s := open(t, rdb, set)
	for n := range 10 {
		p := s.Place(target(fmt.Sprintf("/}{%d", n)), "extra}")
		all := []string{
			p.Log, p.vary(), p.index(), p.EntryKey("0"), p.EntryKey("1"), p.LeaseKey("0"), p.refreshKey("0"), p.largeKey("0"),
			p.hitForMissKey("0", plain), p.hitForMissKey("0", withCookie), p.chunkKey("id", 0), p.chunkKey("id", 1),
		}
		seen := map[string]bool{}
		slot := rdb.ClusterKeySlot(t.Context(), p.Log).Val()
		for _, key := range all {
			if got := rdb.ClusterKeySlot(t.Context(), key).Val(); got != slot || seen[key] {
				t.Errorf("%q: slot %d, want %d; seen before: %v", key, got, slot, seen[key])
			}
			seen[key] = true
		}
	}
}

// A purge of a URL names no scheme and nothing that WithVaryBy adds, so all of these
// must be in the bucket whose log it writes.
func TestOneURLIsInOneBucket(t *testing.T) {
	set := settings(t)
	set.Buckets = 64
	s := open(t, redistest.Standalone(t).Client(t), set)
	used := map[string]bool{}
	for n := range 1000 {
		path := fmt.Sprintf("/%d", n)
		p := s.Place(target(path), "")
		for _, other := range []Place{s.Place(target(path), "user"), s.Place(cachekey.Join("https", "example.com", path, ""), "")} {
			if other.Log != p.Log || other.url != p.url || other.Hash == p.Hash {
				t.Fatalf("%s: %+v and %+v", path, p, other)
			}
		}
		used[p.Log] = true
	}
	if len(used) != 64 {
		t.Errorf("%d of 64 buckets are used", len(used))
	}
}

// Instances that disagree about a setting in the keys never read each other's entries.
func TestStoresThatDifferInTheirKeysShareNothing(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	set := settings(t)
	p := target("/")
	s := open(t, rdb, set)
	put(t, s, s.Place(p, ""), nil, entry("mine"))
	for name, change := range map[string]func(*Settings){
		"the same":      func(*Settings) {},
		"another name":  func(set *Settings) { set.Name = "other" },
		"a prefix":      func(set *Settings) { set.Prefix += "x" },
		"more buckets":  func(set *Settings) { set.Buckets = 2 },
		"other retries": func(set *Settings) { set.ReadTimeout++ },
	} {
		other := set
		change(&other)
		want := other.Name == set.Name && other.Prefix == set.Prefix && other.Buckets == set.Buckets
		s := open(t, rdb, other)
		if got := served(t, s, s.Place(p, ""), nil); (got == "mine") != want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
