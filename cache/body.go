package cache

import (
	"context"
	"io"

	"github.com/redis/go-redis/v9"
)

// body reads a stored body: the inline part, then chunks, each when it is
// needed. It holds one chunk at a time.
type body struct {
	ctx    context.Context
	s      *Store
	f      *found
	inline []byte
	at     int64
	chunk  []byte
	number int // of chunk
	err    error
}

// open returns a reader of the body of what was found, whose inline part this is.
func (s *Store) open(ctx context.Context, f *found, inline []byte) *body {
	return &body{ctx: ctx, s: s, f: f, inline: inline}
}

func (b *body) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.f.entry.size
	}
	b.at = offset
	return offset, nil
}

func (b *body) Read(p []byte) (int, error) {
	part, err := b.part()
	if err != nil {
		return 0, err
	}
	n := copy(p, part)
	b.at += int64(n)
	return n, nil
}

// part is what there is from here on, in one piece.
func (b *body) part() ([]byte, error) {
	e := b.f.entry
	switch {
	case b.err != nil:
		return nil, b.err
	case b.at >= e.size:
		return nil, io.EOF
	case b.at < int64(len(b.inline)):
		return b.inline[b.at:], nil
	}
	n := int((b.at - int64(len(b.inline))) / chunkSize)
	if b.chunk == nil || b.number != n {
		if b.chunk, b.err = b.s.readChunk(b.ctx, b.f, n); b.err != nil {
			return nil, b.err
		}
		b.number = n
	}
	return b.chunk[(b.at-int64(len(b.inline)))%chunkSize:], nil
}

func (s *Store) readChunk(ctx context.Context, f *found, n int) ([]byte, error) {
	bound, cancel := context.WithTimeout(ctx, s.set.WriteTimeout)
	defer cancel()
	var got *redis.StringCmd
	if err := s.pipeline(bound, func(p redis.Pipeliner) { got = p.Get(bound, f.chunkKey(f.entry.id, n)) }); err != nil {
		return nil, err
	}
	b, err := got.Bytes()
	want := min(chunkSize, f.entry.size-inlineSize-int64(n)*chunkSize)
	if err != nil || int64(len(b)) != want {
		return nil, errChunk
	}
	return b, nil
}

// readable reports whether all chunks of a body are there.
func (s *Store) readable(ctx context.Context, f *found) bool {
	if f.entry == nil || f.entry.id == "" {
		return true
	}
	keys := make([]string, f.entry.chunks())
	for n := range keys {
		keys[n] = f.chunkKey(f.entry.id, n)
	}
	bound, cancel := context.WithTimeout(ctx, s.set.WriteTimeout)
	defer cancel()
	var there *redis.IntCmd
	err := s.pipeline(bound, func(p redis.Pipeliner) { there = p.Exists(bound, keys...) })
	return err == nil && there.Val() == int64(len(keys))
}
