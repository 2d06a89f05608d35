package store

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

var errChunk = errors.New("a part of the body is gone")

const (
	// chunkLife is the TTL of chunks that no entry refers to: of a response in progress,
	// or one that was never finished. Fill gives them the TTL of their entry.
	chunkLife  = 10 * time.Minute
	chunkGrace = time.Minute // chunks outlive their entry, for who is reading
)

// Recorder stores a body while the handler writes it: the first [InlineSize] bytes are
// kept in memory, the rest goes to Redis chunk by chunk. It never holds more than one
// chunk and the first part. Set On to record.
type Recorder struct {
	s      *Store
	ctx    context.Context // the request's values
	f      *Found
	Max    int64
	On     bool
	first  []byte // at most inlineSize
	rest   []byte // of the chunk that is being filled
	Size   int64
	id     string
	chunks int
	over   func()
	lost   func()
}

// Record returns a recorder of the response to f, which was a miss. over is called once if
// the body is too large, lost if Redis fails or the body does not fit in memory while
// Redis is away. Nothing is recorded after either.
func (s *Store) Record(ctx context.Context, f *Found, over, lost func()) *Recorder {
	return &Recorder{s: s, ctx: ctx, f: f, Max: s.set.Rules.MaxBody, over: over, lost: lost}
}

func (t *Recorder) Write(p []byte, err error) {
	if !t.On {
		return
	}
	t.Size += int64(len(p))
	switch {
	case err != nil:
		t.Drop()
		return
	case t.Size > t.Max:
		t.Drop()
		t.over()
		return
	case !t.f.Reachable() && t.Size > InlineSize:
		t.Drop() // without a store the first part is all that can be kept
		t.lost()
		return
	}
	if room := InlineSize - len(t.first); room > 0 {
		n := min(room, len(p))
		t.first = append(t.first, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 && t.On {
		n := min(chunkSize-len(t.rest), len(p))
		if t.rest == nil {
			t.rest = make([]byte, 0, chunkSize)
		}
		t.rest = append(t.rest, p[:n]...)
		p = p[n:]
		if len(t.rest) == chunkSize {
			t.flush()
		}
	}
}

// flush writes a chunk. The handler waits: it must not run ahead of Redis.
func (t *Recorder) flush() {
	if len(t.rest) == 0 || !t.On {
		return
	}
	if t.id == "" {
		t.id = rand.Text()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), t.s.set.WriteTimeout)
	defer cancel()
	value := t.rest
	err := t.s.pipeline(ctx, func(p redis.Pipeliner) { p.Set(ctx, t.f.chunkKey(t.id, t.chunks), value, chunkLife) })
	t.chunks++
	t.rest = nil // a call that was left behind may still read it
	if err != nil {
		t.s.set.Failed(t.ctx, Wrap("store", err))
		t.Drop()
		t.lost()
	}
}

// Drop ends the recording. The chunks in Redis are deleted in the background, or expire.
func (t *Recorder) Drop() {
	t.On, t.first, t.rest = false, nil, nil
	if t.chunks == 0 {
		return
	}
	keys := make([]string, t.chunks)
	for n := range keys {
		keys[n] = t.f.chunkKey(t.id, n)
	}
	t.chunks = 0
	t.s.Background(func(ctx context.Context) {
		bound, cancel := context.WithTimeout(ctx, t.s.set.WriteTimeout)
		defer cancel()
		_ = t.s.pipeline(bound, func(p redis.Pipeliner) { p.Unlink(bound, keys...) }) // they expire anyway
	})
}

// Finish puts the recorded body into e. It reports false if there is none: too large, lost
// or dropped.
func (t *Recorder) Finish(e *Entry) bool {
	t.flush()
	if !t.On {
		return false
	}
	e.Body, e.Size, e.ID = t.first, t.Size, t.id
	return true
}
