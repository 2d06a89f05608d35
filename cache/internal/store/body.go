package store

import (
	"context"
	"io"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// Body reads a stored body: the inline part, then pieces from Redis, each when it is
// needed. It holds one piece at a time, so the size of a body does not matter. It is an
// [io.ReadSeeker] for [net/http.ServeContent], and not safe for concurrent use.
type Body struct {
	ctx    context.Context
	s      *Store
	f      *Found
	inline []byte
	at     int64
	chunk  []byte
	number int // of chunk
	err    error
}

// Open returns a reader of the body of f.Entry. inline is its inline part, decompressed.
func (s *Store) Open(ctx context.Context, f *Found, inline []byte) *Body {
	return &Body{ctx: ctx, s: s, f: f, inline: inline}
}

// Err returns the error that ended reading, nil if there was none. A response that is cut
// off must be aborted: its header has the whole length.
func (b *Body) Err() error { return b.err }

// Seek is that of [io.Seeker].
func (b *Body) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.f.Entry.Size
	}
	b.at = offset
	return offset, nil
}

// Read is that of [io.Reader]. It returns an error if a piece is lost or Redis is away;
// [io.EOF] is always the end of the body.
func (b *Body) Read(p []byte) (int, error) {
	part, err := b.part()
	if err != nil {
		return 0, err
	}
	n := copy(p, part)
	b.at += int64(n)
	return n, nil
}

// part returns the bytes at the present offset, up to the end of their piece.
func (b *Body) part() ([]byte, error) {
	e := b.f.Entry
	switch {
	case b.err != nil:
		return nil, b.err
	case b.at >= e.Size:
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

func (s *Store) readChunk(ctx context.Context, f *Found, n int) ([]byte, error) {
	bound, cancel := context.WithTimeout(ctx, s.set.WriteTimeout)
	defer cancel()
	var got *redis.StringCmd
	if err := s.pipeline(bound, func(p redis.Pipeliner) { got = p.Get(bound, f.chunkKey(f.Entry.ID, n)) }); err != nil {
		return nil, unavailable.Wrap(err) // a connection that ends is io.EOF, which would be the end of the body
	}
	b, err := got.Bytes()
	want := min(chunkSize, f.Entry.Size-InlineSize-int64(n)*chunkSize)
	if err != nil || int64(len(b)) != want {
		return nil, errChunk
	}
	return b, nil
}

// Readable reports whether all pieces of a body exist, in one round trip: to be called
// before the header is sent.
func (s *Store) Readable(ctx context.Context, f *Found) bool {
	if f.Entry == nil || f.Entry.ID == "" {
		return true
	}
	keys := make([]string, f.Entry.chunks())
	for n := range keys {
		keys[n] = f.chunkKey(f.Entry.ID, n)
	}
	bound, cancel := context.WithTimeout(ctx, s.set.WriteTimeout)
	defer cancel()
	var there *redis.IntCmd
	err := s.pipeline(bound, func(p redis.Pipeliner) { there = p.Exists(bound, keys...) })
	return err == nil && there.Val() == int64(len(keys))
}
