package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

var errChunk = errors.New("a part of the body is gone")

const (
	// chunkLife is how long chunks stay that no entry refers to: of a response
	// that is being made, or was never finished.
	chunkLife  = 10 * time.Minute
	chunkGrace = time.Minute // chunks outlive their entry, for who is reading
)

// recorder keeps a body as it passes: the first part in memory, the rest in
// Redis, chunk by chunk. It never holds more than one chunk beside the first
// part.
type recorder struct {
	s      *Store
	ctx    context.Context // the request's values
	f      *found
	max    int64
	on     bool
	first  []byte // at most inlineSize
	rest   []byte // of the chunk that is being filled
	size   int64
	id     string
	chunks int
	over   func()
	lost   func()
}

// record returns a recorder of the body of the response to a look-up that missed.
// over is called once if the body turns out to be too large, lost if the store
// cannot keep it.
func (s *Store) record(ctx context.Context, f *found, over, lost func()) *recorder {
	return &recorder{s: s, ctx: ctx, f: f, max: s.set.Rules.MaxBody, over: over, lost: lost}
}

func (t *recorder) write(p []byte, err error) {
	if !t.on {
		return
	}
	t.size += int64(len(p))
	switch {
	case err != nil:
		t.drop()
		return
	case t.size > t.max:
		t.drop()
		t.over()
		return
	case t.f.inc == "" && t.size > inlineSize:
		t.drop() // without a store the first part is all that can be kept
		t.lost()
		return
	}
	if room := inlineSize - len(t.first); room > 0 {
		n := min(room, len(p))
		t.first = append(t.first, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 && t.on {
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
func (t *recorder) flush() {
	if len(t.rest) == 0 || !t.on {
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
		t.s.set.Failed(t.ctx, wrapped("store", err))
		t.drop()
		t.lost()
	}
}

// drop gives up; chunks that were written are removed, or expire.
func (t *recorder) drop() {
	t.on, t.first, t.rest = false, nil, nil
	if t.chunks == 0 {
		return
	}
	keys := make([]string, t.chunks)
	for n := range keys {
		keys[n] = t.f.chunkKey(t.id, n)
	}
	t.chunks = 0
	t.s.background(func(ctx context.Context) {
		bound, cancel := context.WithTimeout(ctx, t.s.set.WriteTimeout)
		defer cancel()
		_ = t.s.pipeline(bound, func(p redis.Pipeliner) { p.Unlink(bound, keys...) }) // they expire anyway
	})
}

// finish puts the body into an entry; false if it was not kept.
func (t *recorder) finish(e *entry) bool {
	t.flush()
	if !t.on {
		return false
	}
	e.body, e.size, e.id = t.first, t.size, t.id
	return true
}
