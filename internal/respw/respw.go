// Package respw wraps an [http.ResponseWriter] for a middleware that must act
// once before the final header goes out, or see the body pass.
//
// A wrapper that gets this wrong breaks handlers far away from it: it hides
// [http.Flusher] from server-sent events, [http.Hijacker] from WebSockets,
// [io.ReaderFrom] from sendfile and http.CloseNotifier from gin, or takes a 103
// for the answer. So it is written once, here.
package respw

import (
	"errors"
	"io"
	"net/http"

	"github.com/redishttp/redishttp/internal/tail"
)

// ErrReplaced is what the handler's writes return after [Hooks.Header]
// answered in its stead.
var ErrReplaced = errors.New("respw: the response was replaced by a middleware")

// Hooks are what a middleware wants to do with a response. Both run on the
// goroutine that writes.
type Hooks struct {
	// Header is called exactly once, before the final header goes out, and may
	// change the header map. The status is that of the handler: 200 or above,
	// or 101 (also for a Hijack without a written header). It is 0 when the
	// handler returned without writing anything; net/http then answers 200, but
	// whether that was meant is unknown, so it must not be stored.
	// Informational responses (1xx but 101) pass without it.
	//
	// When it returns false it has answered on the underlying writer itself,
	// the handler's own header is dropped, and its writes return ErrReplaced.
	Header func(status int) bool

	// Swallow has the writes of a replaced response succeed and go nowhere, for
	// a handler that need not know, such as a proxy that aborts on errors.
	Swallow bool

	// Body sees each piece of the body after the underlying writer took it,
	// with what the writer returned. p holds just the n bytes written. It must
	// not keep p. When set, io.ReaderFrom is served by copying, for bytes that
	// are sent by sendfile are not seen.
	Body func(p []byte, err error)

	// Tail is what inner middlewares may leave to be waited for, nil if nothing.
	Tail *tail.Tail
}

// Writer is the wrapper's state. Handlers get the value returned by [Wrap]
// beside it, which offers what the underlying writer offers.
type Writer struct {
	rw       http.ResponseWriter
	hooks    Hooks
	status   int
	written  int64
	called   bool // Header was called
	replaced bool
	hijacked bool
}

// Wrap returns the state and the writer to hand to the next handler. That
// writer is an http.Flusher, http.Hijacker, io.ReaderFrom, http.CloseNotifier
// and http.Pusher exactly when w is. For the first two "is" means what it means
// to [http.ResponseController], directly or through Unwrap; otherwise a
// controller would unwrap past the hooks. Deadlines and full duplex have no
// hook, and a controller reaches them through Unwrap.
func Wrap(w http.ResponseWriter, hooks Hooks) (*Writer, http.ResponseWriter) {
	b := &Writer{rw: w, hooks: hooks}
	return b, b.expose(abilities(w))
}

// Status is the final status written by the handler: 0 while there is none, 101 after a
// Hijack.
func (b *Writer) Status() int { return b.status }

// Written is the number of body bytes that the underlying writer took.
func (b *Writer) Written() int64 { return b.written }

// Replaced reports whether [Hooks.Header] answered instead of the handler.
func (b *Writer) Replaced() bool { return b.replaced }

// Hijacked reports whether the handler took the connection over.
func (b *Writer) Hijacked() bool { return b.hijacked }

// Finish is called when the handler has returned: it runs [Hooks.Header] with
// status 0 if it has not run yet. It must not be called after a panic.
func (b *Writer) Finish() { b.before(0) }

func (b *Writer) before(status int) bool {
	if b.called {
		return !b.replaced
	}
	b.called = true
	if b.hooks.Header != nil && !b.hooks.Header(status) {
		b.replaced = true
		return false
	}
	b.status = status
	return true
}

// Header is the underlying writer's header map.
func (b *Writer) Header() http.Header { return b.rw.Header() }

// Unwrap serves [http.ResponseController].
func (b *Writer) Unwrap() http.ResponseWriter { return b.rw }

// Tail is that of the hooks, see [tail.Of].
func (b *Writer) Tail() *tail.Tail { return b.hooks.Tail }

// WriteHeader runs the hook before a final status and passes informational
// ones on.
func (b *Writer) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if !b.replaced {
			b.rw.WriteHeader(status)
		}
		return
	}
	if b.before(status) {
		b.rw.WriteHeader(status)
	}
}

func (b *Writer) Write(p []byte) (int, error) {
	if !b.before(http.StatusOK) {
		return b.dropped(len(p))
	}
	n, err := b.rw.Write(p)
	b.saw(p[:n], err)
	return n, err
}

// WriteString spares a copy where the underlying writer does.
func (b *Writer) WriteString(s string) (int, error) {
	if b.hooks.Body != nil {
		return b.Write([]byte(s))
	}
	if !b.before(http.StatusOK) {
		return b.dropped(len(s))
	}
	n, err := io.WriteString(b.rw, s)
	b.written += int64(n)
	return n, err
}

// FlushError flushes, and reports [http.ErrNotSupported] without touching the
// response where that is impossible.
func (b *Writer) FlushError() error {
	if !supports[flushErrorer](b.rw) && !supports[http.Flusher](b.rw) {
		return http.ErrNotSupported
	}
	if !b.before(http.StatusOK) {
		_, err := b.dropped(0)
		return err
	}
	return http.NewResponseController(b.rw).Flush()
}

func (b *Writer) dropped(n int) (int, error) {
	if b.hooks.Swallow {
		return n, nil
	}
	return 0, ErrReplaced
}

func (b *Writer) saw(p []byte, err error) {
	b.written += int64(len(p))
	if b.hooks.Body != nil {
		b.hooks.Body(p, err)
	}
}
