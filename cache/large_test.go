package cache_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// pattern is size bytes that do not compress and differ everywhere.
func pattern(size int) []byte {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(1, uint64(size)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Bodies around the sizes at which they are cut come back byte for byte, whole
// and in ranges.
func TestBodiesOfAnySize(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		const k = 1 << 10
		for _, size := range []int{0, 1, 64*k - 1, 64 * k, 64*k + 1, 320*k - 1, 320 * k, 320*k + 1, 3000 * k} {
			content := pattern(size)
			calls := 0
			h := newCache(t, g.Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.Header().Set("Cache-Control", "max-age=60")
				for rest := content; len(rest) > 0; {
					n := min(len(rest), 1+rand.IntN(100*k))
					w.Write(rest[:n])
					rest = rest[n:]
				}
				if size == 0 {
					w.WriteHeader(200)
				}
			}))
			do(h, "GET", "/")
			w := do(h, "GET", "/")
			if w.Header().Get("Age") == "" || !bytes.Equal(w.Body.Bytes(), content) || w.Header().Get("Content-Length") != fmt.Sprint(size) {
				t.Errorf("%d bytes: got %d, %v", size, w.Body.Len(), w.Header())
			}
			if w := do(h, "HEAD", "/"); w.Header().Get("Content-Length") != fmt.Sprint(size) || w.Body.Len() > 0 {
				t.Errorf("HEAD of %d bytes: %v, %d", size, w.Header(), w.Body.Len())
			}
			for _, at := range []int{0, 64*k - 3, 64 * k, 320*k - 5, 2999 * k} {
				if end := min(at+100, size-1); at < size {
					w := do(h, "GET", "/", fmt.Sprintf("Range: bytes=%d-%d", at, end))
					if w.Code != 206 || !bytes.Equal(w.Body.Bytes(), content[at:end+1]) {
						t.Errorf("%d bytes, range at %d: got %d, %d bytes", size, at, w.Code, w.Body.Len())
					}
				}
			}
			if calls != 1 {
				t.Errorf("%d bytes: %d calls", size, calls)
			}
		}
	})
}

// A range reads only the chunks that it needs.
func TestARangeReadsWhatItNeeds(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	h := newCache(t, rdb).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(pattern(4 << 20))
	}))
	do(h, "GET", "/")
	do(h, "GET", "/", "Range: bytes=0-1")
	count := redistest.Count(rdb)
	do(h, "GET", "/", "Range: bytes=2000000-2000100")
	if got := count.Commands()["get"]; got > 2+1 { // the entry, perhaps its lease, one chunk
		t.Errorf("%d GETs for a hundred bytes of four million", got)
	}
}

// A chunk that is lost makes the response a miss; one that is lost while it is
// sent cuts the connection, so that nobody takes a part for the whole.
func TestLostChunks(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	content := pattern(1 << 20)
	calls := 0
	h := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(content)
	}))
	do(h, "GET", "/")
	each(t, rdb, prefix+"*:c:*:2", func(c *redis.Client, key string) { c.Del(t.Context(), key) })
	if w := do(h, "GET", "/"); calls != 2 || !bytes.Equal(w.Body.Bytes(), content) {
		t.Errorf("%d calls, %d bytes: a lost chunk is no miss", calls, w.Body.Len())
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	get := func() (int, error) {
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return len(b), err
	}
	if n, err := get(); err != nil || n != len(content) {
		t.Fatalf("the fill: %d, %v", n, err)
	}
	each(t, rdb, prefix+"*:c:*:2", func(c *redis.Client, key string) { // there, but not what it was
		c.Set(t.Context(), key, "short", time.Minute)
	})
	if n, err := get(); err == nil {
		t.Errorf("%d bytes of %d without an error", n, len(content))
	}
}

// A gigabyte passes through a heap that is limited to 64 MiB, stored or not.
func TestAGigabyteStreams(t *testing.T) {
	if testing.Short() {
		t.Skip("a gigabyte")
	}
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	piece := pattern(1 << 20)
	const pieces, kept = 1024, 96
	h := newCache(t, rdb, cache.WithKeyPrefix(prefix), cache.WithMaxBody(100<<20)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		n := pieces
		if r.URL.Path == "/kept" {
			n = kept
		}
		for range n {
			if _, err := w.Write(piece); err != nil {
				t.Error(err)
				return
			}
		}
	}))
	srv := httptest.NewServer(h)
	defer srv.Close()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(64 << 20))
	runtime.GC()
	var peak uint64
	read := func(path string, want int) (age string) {
		resp, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		sum, wantSum := sha256.New(), sha256.New()
		n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(sum, &watch{&peak, 0})}, resp.Body, make([]byte, 256<<10))
		if err != nil || n != int64(want)<<20 {
			t.Fatalf("%s: %d bytes, %v", path, n, err)
		}
		for range want {
			wantSum.Write(piece)
		}
		if !bytes.Equal(sum.Sum(nil), wantSum.Sum(nil)) {
			t.Errorf("%s: the bytes differ", path)
		}
		return resp.Header.Get("Age")
	}
	read("/passes", pieces)
	read("/kept", kept)
	if read("/kept", kept) == "" {
		t.Error("96 MiB were not stored")
	}
	if peak > 64<<20 {
		t.Errorf("the heap grew to %d MiB", peak>>20)
	}
	left := 0
	redistest.Eventually(t, patience, func() bool {
		left = 0
		each(t, rdb, prefix+"*:c:*", func(*redis.Client, string) { left++ })
		return left == 384 // of 256 KiB: 96 MiB less the first 64 KiB; none of what passed
	}, "chunks of a response that was not stored stay")
	each(t, rdb, prefix+"*", func(c *redis.Client, key string) { c.Unlink(context.Background(), key) })
}

// watch measures the live heap now and then.
type watch struct {
	peak *uint64
	n    int
}

func (w *watch) Write(p []byte) (int, error) {
	if w.n++; w.n%500 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		*w.peak = max(*w.peak, m.HeapAlloc)
	}
	return len(p), nil
}

// A client that goes away, a handler that breaks off and one that promises
// more than it writes leave nothing behind, chunks neither.
func TestNothingIsLeftOfHalfABody(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	content := pattern(1 << 20)
	h := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/short" {
			w.Header().Set("Content-Length", fmt.Sprint(2*len(content)))
		}
		w.Write(content)
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
	}))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/gone", nil).WithContext(ctx))
	func() {
		defer func() { _ = recover() }()
		do(h, "GET", "/panic")
	}()
	do(h, "GET", "/short")
	redistest.Eventually(t, patience, func() bool {
		n := 0
		each(t, rdb, prefix+"*:[ce]:*", func(*redis.Client, string) { n++ })
		return n == 0
	}, "something is left")
}

// What is compressed at rest comes out as it was, and takes less room.
func TestCompression(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	text := strings.Repeat("all work and no play makes Jack a dull boy\n", 1000)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, text+text+text)
	z.Close()
	cases := map[string]struct {
		lines   []string
		body    string
		smaller bool
	}{
		"text":         {[]string{"Content-Type: text/plain; charset=utf-8"}, text, true},
		"json":         {[]string{"Content-Type: application/problem+json"}, text, true},
		"image":        {[]string{"Content-Type: image/png"}, text, false},
		"encoded":      {[]string{"Content-Type: text/plain", "Content-Encoding: gzip"}, text, false},
		"no-transform": {[]string{"Content-Type: text/plain", "Cache-Control: no-transform"}, text, false},
		"random":       {[]string{"Content-Type: text/plain"}, string(pattern(20_000)), false},
		"small":        {[]string{"Content-Type: text/plain"}, "tiny", false},
	}
	for name, tc := range cases {
		prefix := redistest.Prefix(t)
		var s site
		s.set(answering(tc.body, append(tc.lines, "Cache-Control: max-age=60")...))
		h := newCache(t, rdb, cache.WithKeyPrefix(prefix), cache.WithCompression(true)).Handler(&s)
		do(h, "GET", "/")
		if w := do(h, "GET", "/"); w.Body.String() != tc.body || w.Header().Get("Age") == "" || w.Header().Get("Content-Length") != fmt.Sprint(len(tc.body)) && name != "encoded" {
			t.Errorf("%s: %d bytes of %d: %v", name, w.Body.Len(), len(tc.body), w.Header())
		}
		if w := do(h, "GET", "/", "Range: bytes=1-3"); w.Body.String() != tc.body[1:4] {
			t.Errorf("%s: range %q", name, w.Body)
		}
		each(t, rdb, prefix+"*:e:*", func(c *redis.Client, key string) {
			if n := c.StrLen(t.Context(), key).Val(); (n < int64(len(tc.body))/2) != tc.smaller {
				t.Errorf("%s: %d bytes take %d", name, len(tc.body), n)
			}
		})
	}
}
