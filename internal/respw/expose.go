package respw

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

type flushErrorer interface{ FlushError() error }

// supports reports whether w is a T, directly or through Unwrap.
func supports[T any](w http.ResponseWriter) bool {
	for {
		if _, ok := w.(T); ok {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}

type flusher struct{ b *Writer }

// Flush has no way to report an error; FlushError has.
func (f flusher) Flush() { _ = f.b.FlushError() }

type hijacker struct{ b *Writer }

// Hijack counts as a final header of status 101: it is the last moment at
// which a session can be saved or a lost lock be answered.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !h.b.before(http.StatusSwitchingProtocols) {
		return nil, nil, ErrReplaced
	}
	conn, buf, err := http.NewResponseController(h.b.rw).Hijack()
	h.b.hijacked = err == nil
	return conn, buf, err
}

type readerFrom struct{ b *Writer }

func (r readerFrom) ReadFrom(src io.Reader) (int64, error) {
	if !r.b.before(http.StatusOK) {
		if r.b.hooks.Swallow {
			return io.Copy(io.Discard, src)
		}
		return 0, ErrReplaced
	}
	if inner, ok := r.b.rw.(io.ReaderFrom); ok && r.b.hooks.Body == nil {
		n, err := inner.ReadFrom(src)
		r.b.written += n
		return n, err
	}
	return io.Copy(struct{ io.Writer }{r.b}, src) // the struct hides ReadFrom, else Copy comes back here
}

// expose gives the handler a writer with just the interfaces the underlying
// one has. FlushError and Unwrap come with *Writer.
func (b *Writer) expose() http.ResponseWriter {
	f := supports[http.Flusher](b.rw) || supports[flushErrorer](b.rw)
	h := supports[http.Hijacker](b.rw)
	_, r := b.rw.(io.ReaderFrom)
	switch {
	case f && h && r: // net/http, HTTP/1
		return struct {
			*Writer
			http.Flusher
			http.Hijacker
			io.ReaderFrom
		}{b, flusher{b}, hijacker{b}, readerFrom{b}}
	case f && h:
		return struct {
			*Writer
			http.Flusher
			http.Hijacker
		}{b, flusher{b}, hijacker{b}}
	case f && r:
		return struct {
			*Writer
			http.Flusher
			io.ReaderFrom
		}{b, flusher{b}, readerFrom{b}}
	case h && r:
		return struct {
			*Writer
			http.Hijacker
			io.ReaderFrom
		}{b, hijacker{b}, readerFrom{b}}
	case f: // net/http, HTTP/2
		return struct {
			*Writer
			http.Flusher
		}{b, flusher{b}}
	case h:
		return struct {
			*Writer
			http.Hijacker
		}{b, hijacker{b}}
	case r:
		return struct {
			*Writer
			io.ReaderFrom
		}{b, readerFrom{b}}
	}
	return b
}
