package ginmw

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// writer is the middleware's writer as gin knows writers: a status is noted and
// sent with the first byte, or with WriteHeaderNow.
type writer struct {
	http.ResponseWriter
	ctx    context.Context
	status int
	size   int  // -1 until the header is sent
	named  bool // a handler has set the status
}

var _ gin.ResponseWriter = (*writer)(nil)

// Unwrap serves [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) Status() int   { return w.status }
func (w *writer) Size() int     { return w.size }
func (w *writer) Written() bool { return w.size >= 0 }

func (w *writer) WriteHeader(status int) {
	switch {
	case informational(status):
		w.ResponseWriter.WriteHeader(status)
	case status > 0 && !w.Written():
		w.status, w.named = status, true
	}
}

func (w *writer) WriteHeaderNow() {
	if !w.Written() {
		w.size = 0
		w.ResponseWriter.WriteHeader(w.status)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	n, err := w.ResponseWriter.Write(p)
	w.size += n
	return n, err
}

func (w *writer) WriteString(s string) (int, error) {
	w.WriteHeaderNow()
	n, err := io.WriteString(w.ResponseWriter, s)
	w.size += n
	return n, err
}

func (w *writer) Flush() { _ = w.FlushError() }

func (w *writer) FlushError() error {
	w.WriteHeaderNow()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

var errWritten = errors.New("ginmw: hijack: part of the body has been written")

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.size > 0 {
		return nil, nil, errWritten
	}
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.size = 0 // nothing more is to be written
	}
	return conn, buf, err
}

// CloseNotify tells when the request's context ends: when the client is gone, and
// when a middleware gives the request up.
func (w *writer) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(w.ctx, func() { gone <- true })
	return gone
}

// Pusher is the server's, nil where it does not push.
func (w *writer) Pusher() http.Pusher {
	for rw := w.ResponseWriter; ; {
		if p, ok := rw.(http.Pusher); ok {
			return p
		}
		u, ok := rw.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		rw = u.Unwrap()
	}
}

// pages are what gin answers when no handler of an unmatched request has.
var pages = map[int]string{http.StatusNotFound: "404 page not found", http.StatusMethodNotAllowed: "405 method not allowed"}

// finish sends what gin would when all middlewares have returned, while this one
// can still see it. If no handler has set a status, nothing is sent: net/http
// then answers 200, but whether that was meant is unknown.
func (w *writer) finish(c *gin.Context) {
	page, unmatched := pages[w.status]
	switch {
	case w.Written():
	case w.named:
		w.WriteHeaderNow()
	case unmatched && c.FullPath() == "":
		w.Header().Set("Content-Type", gin.MIMEPlain)
		_, _ = w.WriteString(page)
	}
}

// informational is a 1xx after which the response is still to come.
func informational(status int) bool {
	return status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
}
