package ginmw

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// plain is gin's writer as net/http knows writers: WriteHeader sends the
// header, and it has only the optional interfaces that the server's writer has.
type plain struct {
	w     gin.ResponseWriter
	under http.ResponseWriter // what w writes to; nil where w does not say
}

// standard makes p the writer to hand to a middleware around w.
func (p *plain) standard(w gin.ResponseWriter) http.ResponseWriter {
	p.w = w
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		p.under = u.Unwrap()
	}
	return p.expose(abilities(p.Unwrap()))
}

// abilities are those of the server's writer w, beyond what gin's always has.
func abilities(w http.ResponseWriter) (set ability) {
	if _, ok := w.(http.Hijacker); ok {
		set |= canHijack
	}
	//lint:ignore SA1019 Context.Stream of a gin engine inside of the middleware panics without it
	if _, ok := w.(http.CloseNotifier); ok {
		set |= canCloseNotify
	}
	if _, ok := w.(http.Pusher); ok {
		set |= canPush
	}
	return set
}

// Unwrap serves [http.ResponseController]. It leaves gin's writer out, which claims
// to be a Hijacker on HTTP/2 too, and panics when it is taken at its word.
func (p *plain) Unwrap() http.ResponseWriter {
	if p.under == nil {
		return p.w
	}
	return p.under
}

func (p *plain) Header() http.Header { return p.w.Header() }

func (p *plain) WriteHeader(status int) {
	switch {
	case !informational(status):
		p.w.WriteHeader(status)
		p.w.WriteHeaderNow()
	case p.under != nil: // gin would take it for the answer
		p.under.WriteHeader(status)
	}
}

// begin sends the header that net/http sends before a body. The status
// may not be that of gin, which has noted 404 for what no route matches.
func (p *plain) begin() {
	if !p.w.Written() {
		p.WriteHeader(http.StatusOK)
	}
}

func (p *plain) Write(b []byte) (int, error) {
	p.begin()
	return p.w.Write(b)
}

func (p *plain) WriteString(s string) (int, error) {
	p.begin()
	return io.WriteString(p.w, s)
}

func (p *plain) Flush() { _ = p.FlushError() }

func (p *plain) FlushError() error {
	p.begin()
	p.w.Flush()
	// gin's reports no error; what is under it remembers.
	return http.NewResponseController(p.Unwrap()).Flush()
}

// hijack asks gin's writer, which must know that there is nothing more to send.
func (p *plain) hijack() (net.Conn, *bufio.ReadWriter, error) { return p.w.Hijack() }

func (p *plain) closeNotify() <-chan bool {
	//lint:ignore SA1019 see abilities
	return p.Unwrap().(http.CloseNotifier).CloseNotify()
}

func (p *plain) push(target string, opts *http.PushOptions) error {
	return p.Unwrap().(http.Pusher).Push(target, opts)
}
