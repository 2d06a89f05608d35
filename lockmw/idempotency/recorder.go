package idempotency

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// recorder is the ResponseWriter of a covered request. It holds the response
// back until it is recorded, so that a client never knows of a result that a
// retry would not find. A body above the limit is streamed from there on.
//
// It is not internal/respw, whose writes go out at once. It has no Unwrap: what
// is under it must not be written to. So it does itself what an
// [http.ResponseController] wants, but Hijack: a connection cannot be replayed.
type recorder struct {
	w         http.ResponseWriter
	ctx       context.Context // of the handler's request
	before    http.Header     // fields of outer middlewares, on the same map
	header    http.Header     // as it was when the status was written
	head      bool
	limit     int64
	status    int // 0 while nothing is written
	length    int64
	body      []byte
	streaming bool   // what was held back went out, and the rest goes at once
	streams   func() // called when that begins
}

// newRecorder returns a recorder that has not written.
func newRecorder(w http.ResponseWriter, r *http.Request, limit int64) *recorder {
	return &recorder{w: w, before: w.Header().Clone(), head: r.Method == http.MethodHead, limit: limit, length: -1}
}

// Header is the underlying writer's header map.
func (c *recorder) Header() http.Header { return c.w.Header() }

// WriteHeader passes informational responses on.
func (c *recorder) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) //nolint:forbidigo // as net/http does, where the handler sees it
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		if c.status == 0 {
			c.w.WriteHeader(status)
		}
		return
	}
	if c.status != 0 {
		return
	}
	c.status = status
	c.snapshot()
	if c.length > c.limit && !c.head && hasBody(status) {
		c.stream()
	}
}

// snapshot keeps the header as it will be sent.
func (c *recorder) snapshot() {
	c.header = c.w.Header().Clone()
	if n, err := strconv.ParseInt(c.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		c.length = n
	}
}

// Write has the errors that net/http's has, which a handler would no longer see.
func (c *recorder) Write(p []byte) (int, error) {
	c.implicit()
	switch {
	case c.streaming:
		return c.w.Write(p)
	case len(p) == 0:
		return 0, nil
	case !hasBody(c.status):
		return 0, http.ErrBodyNotAllowed
	case c.length >= 0 && int64(len(c.body)+len(p)) > c.length:
		return 0, http.ErrContentLength
	case int64(len(c.body)+len(p)) <= c.limit:
		c.body = append(c.body, p...)
	case !c.head: // of which nothing is sent
		c.stream()
		return c.w.Write(p)
	}
	return len(p), nil
}

// implicit writes the status 200 that net/http writes for a handler that wrote
// none.
func (c *recorder) implicit() {
	if c.status == 0 {
		c.WriteHeader(http.StatusOK)
	}
}

// WriteString is Write.
func (c *recorder) WriteString(s string) (int, error) { return c.Write([]byte(s)) }

// Flush has no way to report an error; FlushError has.
func (c *recorder) Flush() { _ = c.FlushError() }

// FlushError flushes what is streamed. Before that it writes the header, as
// flushing does, and holds it back.
func (c *recorder) FlushError() error {
	c.implicit()
	if c.limit == 0 && !c.streaming {
		c.stream()
	}
	if !c.streaming {
		return nil
	}
	return http.NewResponseController(c.w).Flush()
}

// SetReadDeadline, SetWriteDeadline and EnableFullDuplex serve
// [http.ResponseController].
func (c *recorder) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(c.w).SetReadDeadline(t)
}

func (c *recorder) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(c.w).SetWriteDeadline(t)
}

func (c *recorder) EnableFullDuplex() error {
	return http.NewResponseController(c.w).EnableFullDuplex()
}

// offered returns the writer for the handler: the recorder, with CloseNotify
// and Push where the writer below has them.
func (c *recorder) offered() http.ResponseWriter {
	var set ability
	//lint:ignore SA1019 gin's Context.Stream panics without it
	if _, ok := c.w.(http.CloseNotifier); ok {
		set |= canCloseNotify
	}
	if _, ok := c.w.(http.Pusher); ok {
		set |= canPush
	}
	return c.expose(set)
}

// closeNotify signals the end of the context of the handler's request. A client
// that disconnects is not the end: the run continues, and its retry gets the
// result.
func (c *recorder) closeNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(c.ctx, func() { gone <- true })
	return gone
}

// push is only called where the writer below has Push.
func (c *recorder) push(target string, opts *http.PushOptions) error {
	return c.w.(http.Pusher).Push(target, opts)
}

// stream sends what was held back.
func (c *recorder) stream() {
	c.send()
	c.streaming, c.body = true, nil
	c.streams()
}

// send sends the response, with the header as it was when the status was
// written. For a handler that has written nothing net/http responds.
func (c *recorder) send() {
	if c.streaming || c.status == 0 {
		return
	}
	h := c.w.Header()
	late := maps.Clone(h)
	restore(h, c.header)
	c.w.WriteHeader(c.status)
	if len(c.body) > 0 {
		_, _ = c.w.Write(c.body) // the client may be gone; its retry finds it
	}
	maps.Copy(h, late) // trailers
}

// final is the status that the client gets. For a handler that has written
// nothing net/http answers 200; send leaves that to it, so that an outer
// middleware can still do otherwise.
func (c *recorder) final() int {
	if c.status == 0 {
		return http.StatusOK
	}
	return c.status
}

// whole returns the response, if all of it is here and can be sent again.
func (c *recorder) whole() (*response, error) {
	status := c.final()
	if c.status == 0 {
		c.snapshot()
	}
	switch {
	case c.streaming:
		return nil, errors.New("the body is too large")
	case !keepable(status):
		return nil, errors.New("the protocol was switched")
	case c.length >= 0 && !c.head && hasBody(status) && int64(len(c.body)) != c.length:
		return nil, errors.New("the body is shorter than its Content-Length")
	case c.trailers():
		return nil, errors.New("there are trailers")
	}
	return &response{status: status, fields: changes(c.before, c.header), body: c.body}, nil
}

// trailers reports whether the handler has announced or written trailers.
func (c *recorder) trailers() bool {
	if len(c.header["Trailer"]) > len(c.before["Trailer"]) {
		return true
	}
	for name := range c.w.Header() {
		if len(name) > len(http.TrailerPrefix) && name[:len(http.TrailerPrefix)] == http.TrailerPrefix {
			return true
		}
	}
	return false
}
