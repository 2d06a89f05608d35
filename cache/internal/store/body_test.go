package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Bodies come back byte for byte, around all sizes at which they are cut.
func TestBodiesOfAllSizesComeBack(t *testing.T) {
	s, rdb := alone(t)
	for size, pieces := range map[int]int{
		0: 0, 1: 0, InlineSize - 1: 0, InlineSize: 0, InlineSize + 1: 1, InlineSize + chunkSize - 1: 1, InlineSize + chunkSize: 1,
		InlineSize + chunkSize + 1: 2, InlineSize + 3*chunkSize: 3,
	} {
		p := s.Place(target(fmt.Sprint("/", size)), "")
		body := noise(size)
		record(t, s, p, body)
		r := reading(t, s, p)
		got, err := io.ReadAll(r)
		if err != nil || r.Err() != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes: got %d, %v, %v", size, len(got), err, r.Err())
		}
		if n := r.f.Entry.chunks(); n != pieces || (r.f.Entry.ID != "") != (n > 0) || !s.Readable(t.Context(), r.f) {
			t.Errorf("%d bytes: %d pieces of %q, want %d", size, n, r.f.Entry.ID, pieces)
		}
		if n := len(keys(t, rdb, p.base+"c:"+r.f.Entry.ID+":*")); pieces > 0 && n != pieces {
			t.Errorf("%d bytes: %d pieces in Redis, want %d", size, n, pieces)
		}
	}
}

// A stored body can be read from anywhere, as ranges are.
func TestABodyIsReadFromAnywhere(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	body := noise(InlineSize + 2*chunkSize + 1000)
	record(t, s, p, body)
	got, want := reading(t, s, p), bytes.NewReader(body)
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var offset int64
		whence := random.IntN(3)
		switch whence {
		case io.SeekStart:
			offset = random.Int64N(int64(len(body)) + 100)
		case io.SeekCurrent:
			here, _ := want.Seek(0, io.SeekCurrent)
			offset = random.Int64N(int64(len(body))) - here
		case io.SeekEnd:
			offset = -random.Int64N(int64(len(body)))
		}
		a, err1 := got.Seek(offset, whence)
		b, err2 := want.Seek(offset, whence)
		if a != b || err1 != nil || err2 != nil {
			t.Fatalf("seek %d from %d: got %d, %v, want %d", offset, whence, a, err1, b)
		}
		n := random.IntN(2000)
		x, y := make([]byte, n), make([]byte, n)
		n1, err1 := io.ReadFull(got, x)
		n2, err2 := io.ReadFull(want, y)
		if n1 != n2 || !errors.Is(err1, err2) || !bytes.Equal(x, y) {
			t.Fatalf("read %d at %d: got %d, %v, want %d, %v", n, a, n1, err1, n2, err2)
		}
	}
}

// Each piece is read once and when it is needed: a range does not cost the whole body.
func TestPiecesAreReadWhenTheyAreNeeded(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	record(t, s, p, noise(InlineSize+3*chunkSize))
	r := reading(t, s, p)
	counter := redistest.Count(rdb)
	read := func(at, n int64) func() {
		return func() {
			if _, err := r.Seek(at, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if got, err := io.CopyN(io.Discard, struct{ io.Reader }{r}, n); err != nil {
				t.Fatalf("%d bytes at %d: got %d, %v", n, at, got, err)
			}
		}
	}
	for _, tc := range []struct {
		at, n int64
		want  int
	}{
		{0, InlineSize, 0},
		{InlineSize, chunkSize, 1},
		{InlineSize + 10, 100, 0},
		{InlineSize + chunkSize - 1, 2, 1},
		{InlineSize + 2*chunkSize, 1, 1},
		{0, InlineSize + 3*chunkSize, 3},
	} {
		if got := spent(counter, read(tc.at, tc.n)); got != tc.want {
			t.Errorf("%d bytes at %d: %d round trips, want %d", tc.n, tc.at, got, tc.want)
		}
	}
}

func TestALostPieceEndsTheBody(t *testing.T) {
	for name, lose := range map[string]func(p redis.Pipeliner, key string){
		"deleted": func(p redis.Pipeliner, key string) { p.Del(t.Context(), key) },
		"shorter": func(p redis.Pipeliner, key string) { p.Set(t.Context(), key, "short", time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			s, rdb := alone(t)
			p := s.Place(target("/"), "")
			body := noise(InlineSize + 2*chunkSize + 1)
			record(t, s, p, body)
			r := reading(t, s, p)
			if _, err := rdb.Pipelined(t.Context(), func(pipe redis.Pipeliner) error { lose(pipe, p.chunkKey(r.f.Entry.ID, 1)); return nil }); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if !errors.Is(err, errChunk) || !errors.Is(r.Err(), errChunk) || !bytes.Equal(got, body[:InlineSize+chunkSize]) {
				t.Errorf("got %d bytes, %v, %v", len(got), err, r.Err())
			}
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, errChunk) {
				t.Errorf("after the error: got %v", err)
			}
			if got := s.Readable(t.Context(), r.f); got != (name == "shorter") {
				t.Errorf("all pieces are there: got %v", got)
			}
		})
	}
}

// The pieces of a replaced body stay for a minute, so that its readers can finish.
func TestAReplacedBodyIsReadToItsEnd(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	old, fresh := noise(InlineSize+2*chunkSize), noise(InlineSize+chunkSize+1)
	record(t, s, p, old)
	r := reading(t, s, p)
	begin := make([]byte, 100)
	if _, err := io.ReadFull(r, begin); err != nil {
		t.Fatal(err)
	}
	record(t, s, p, fresh)
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(slices.Concat(begin, rest), old) {
		t.Errorf("the old body: got %d bytes, %v", len(begin)+len(rest), err)
	}
	for n := range 2 {
		ttl(t, rdb, p.chunkKey(r.f.Entry.ID, n), 1, chunkGrace)
	}
	if got, err := io.ReadAll(reading(t, s, p)); err != nil || !bytes.Equal(got, fresh) {
		t.Errorf("the new body: got %d bytes, %v", len(got), err)
	}
}

// Storing the same body again, as a validation does, must not have its pieces expire.
func TestAnEntryThatIsStoredAgainKeepsItsPieces(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	record(t, s, p, noise(InlineSize+chunkSize))
	f := find(t, s, p, nil)
	redistest.NoErrors(t, s.Fill(t.Context(), f, nil, f.Entry))
	ttl(t, rdb, p.chunkKey(f.Entry.ID, 0), chunkGrace+time.Second, f.Entry.Keep+chunkGrace)
}

func TestAnEvictedVariantTakesItsPiecesAlong(t *testing.T) {
	set := settings(t)
	set.MaxVariants = 1
	rdb := redistest.Standalone(t).Client(t)
	s := open(t, rdb, set)
	p := s.Place(target("/"), "1")
	record(t, s, p, noise(InlineSize+2*chunkSize))
	id := find(t, s, p, nil).Entry.ID
	put(t, s, s.Place(target("/"), "2"), nil, entry("x"))
	if left := keys(t, rdb, p.base+"c:"+id+":*"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// Redis may evict a piece before the body is complete: an entry without all its pieces
// is not stored.
func TestAFillWithoutItsPiecesStoresNothing(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("before"))
	f := find(t, s, p, nil)
	r := s.Record(t.Context(), &f, nil, nil)
	r.On = true
	r.Write(noise(InlineSize+2*chunkSize), nil)
	e := entry("")
	if !r.Finish(e) {
		t.Fatal("not kept")
	}
	redistest.NoErrors(t, rdb.Del(t.Context(), p.chunkKey(e.ID, 1)).Err())
	if err := s.Fill(t.Context(), f, nil, e); !errors.Is(err, errChunk) {
		t.Errorf("got %v, want errChunk", err)
	}
	if got := served(t, s, p, nil); got != "before" {
		t.Errorf("served %q", got)
	}
}

// Most of a body may be in Redis when it turns out to be too large.
func TestABodyAboveTheBoundIsDropped(t *testing.T) {
	s, rdb := alone(t)
	f := find(t, s, s.Place(target("/"), ""), nil)
	over := 0
	r := s.Record(t.Context(), &f, func() { over++ }, func() { t.Error("not lost") })
	r.On, r.Max = true, InlineSize+2*chunkSize
	r.Write(noise(InlineSize+chunkSize), nil)
	r.Write(noise(chunkSize), nil)
	if over != 0 || len(keys(t, rdb, f.base+"c:*")) != 2 {
		t.Fatalf("at the bound: over %d times, %v", over, keys(t, rdb, f.base+"c:*"))
	}
	r.Write([]byte("x"), nil)
	r.Write([]byte("x"), nil)
	if over != 1 || r.On || r.Finish(entry("")) {
		t.Errorf("above the bound: over %d times, still on: %v", over, r.On)
	}
	redistest.Eventually(t, patience, func() bool { return len(keys(t, rdb, f.base+"c:*")) == 0 }, "pieces are left behind")
}

// After a failed write the recorder does not have the whole body.
func TestAWriteThatFailedEndsTheRecording(t *testing.T) {
	s, _ := alone(t)
	f := find(t, s, s.Place(target("/"), ""), nil)
	r := s.Record(t.Context(), &f, func() { t.Error("not too large") }, func() { t.Error("not lost") })
	r.On = true
	r.Write([]byte("x"), nil)
	r.Write([]byte("y"), errors.New("broken pipe"))
	r.Write([]byte("z"), nil)
	if r.On || r.Finish(entry("")) {
		t.Error("the recorder still records")
	}
}

// While Redis is away a small body is kept in memory, for the requests of this process
// that wait for it. A large one cannot be kept.
func TestWithoutRedisOnlyASmallBodyIsRecorded(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	s := open(t, rdb, settings(t))
	f := Found{Place: s.Place(target("/"), "")}
	lost := 0
	r := s.Record(t.Context(), &f, func() { t.Error("not too large") }, func() { lost++ })
	r.On = true
	counter := redistest.Count(rdb)
	r.Write(make([]byte, InlineSize), nil)
	e := entry("")
	if !r.Finish(e) || len(e.Body) != InlineSize || e.ID != "" {
		t.Errorf("a small body: %d bytes, pieces of %q", len(e.Body), e.ID)
	}
	r.Write([]byte("x"), nil)
	if lost != 1 || r.On || counter.Trips() != 0 {
		t.Errorf("a large body: lost %d times, %d round trips", lost, counter.Trips())
	}
}

func TestABodyIsLostWithRedis(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	rdb := clientOf(t, proxy)
	set := settings(t)
	var seen failures
	set.Failed = seen.add
	s := open(t, rdb, set)
	f := find(t, s, s.Place(target("/"), ""), nil)
	lost := 0
	r := s.Record(t.Context(), &f, func() { t.Error("not too large") }, func() { lost++ })
	r.On = true
	r.Write(noise(InlineSize+chunkSize), nil)
	proxy.Refuse()
	r.Write(noise(3*chunkSize), nil)
	if errs := seen.all(); lost != 1 || r.On || len(errs) != 1 || !errors.Is(errs[0], unavailable.Err) {
		t.Errorf("lost %d times, failed with %v", lost, errs)
	}
	proxy.Heal()
}

func TestABodyCannotBeReadWithoutRedis(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	s := open(t, clientOf(t, proxy), settings(t))
	p := s.Place(target("/"), "")
	record(t, s, p, noise(InlineSize+chunkSize))
	r := reading(t, s, p)
	proxy.Refuse()
	n, err := io.Copy(io.Discard, struct{ io.Reader }{r})
	if n != InlineSize || !errors.Is(Wrap("read", err), unavailable.Err) {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if s.Readable(t.Context(), r.f) {
		t.Error("a body is readable while Redis is away")
	}
	proxy.Heal()
}
