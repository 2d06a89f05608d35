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

// abilities are those of w. Flush and Hijack also count behind Unwrap, where a
// [http.ResponseController] finds them: it would reach them past the hooks. It
// does not look for the others.
func abilities(w http.ResponseWriter) ability {
	var set ability
	if supports[http.Flusher](w) || supports[flushErrorer](w) {
		set |= canFlush
	}
	if supports[http.Hijacker](w) {
		set |= canHijack
	}
	if _, ok := w.(io.ReaderFrom); ok {
		set |= canReadFrom
	}
	//lint:ignore SA1019 gin's writer, and with it Context.Stream, panics over a writer without it
	if _, ok := w.(http.CloseNotifier); ok {
		set |= canCloseNotify
	}
	if _, ok := w.(http.Pusher); ok {
		set |= canPush
	}
	return set
}

// flush has no way to report an error; FlushError has.
func (b *Writer) flush() { _ = b.FlushError() }

// hijack counts as a final header of status 101: it is the last moment at
// which a session can be saved or a lost lock be answered.
func (b *Writer) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !b.before(http.StatusSwitchingProtocols) {
		return nil, nil, ErrReplaced
	}
	conn, buf, err := http.NewResponseController(b.rw).Hijack()
	b.hijacked = err == nil
	return conn, buf, err
}

func (b *Writer) readFrom(src io.Reader) (int64, error) {
	if !b.before(http.StatusOK) {
		if b.hooks.Swallow {
			return io.Copy(io.Discard, src)
		}
		return 0, ErrReplaced
	}
	if inner, ok := b.rw.(io.ReaderFrom); ok && b.hooks.Body == nil {
		n, err := inner.ReadFrom(src)
		b.written += n
		return n, err
	}
	return io.Copy(struct{ io.Writer }{b}, src) // the struct hides ReadFrom, else Copy comes back here
}

func (b *Writer) closeNotify() <-chan bool {
	//lint:ignore SA1019 see abilities
	return b.rw.(http.CloseNotifier).CloseNotify()
}

// push goes past the hooks: a pushed response is a request of its own.
func (b *Writer) push(target string, opts *http.PushOptions) error {
	return b.rw.(http.Pusher).Push(target, opts)
}
