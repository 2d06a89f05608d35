package echomw

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/labstack/echo/v5"
)

// plain is Echo's response as net/http knows writers: an informational
// response is not the final one, a flush sends the header, and it has only the
// optional interfaces that the server's writer has.
type plain struct{ w http.ResponseWriter }

// abilities are those of the server's writer w, beyond what Echo's always has.
func abilities(w http.ResponseWriter) (set ability) {
	if _, ok := w.(http.Hijacker); ok {
		set |= canHijack
	}
	//lint:ignore SA1019 a gin engine inside of the middleware panics without it
	if _, ok := w.(http.CloseNotifier); ok {
		set |= canCloseNotify
	}
	if _, ok := w.(http.Pusher); ok {
		set |= canPush
	}
	return set
}

// Unwrap serves [http.ResponseController]. It leaves Echo's Response out, which claims
// to be a Hijacker on HTTP/2 too.
func (p *plain) Unwrap() http.ResponseWriter {
	if response, ok := p.w.(*echo.Response); ok {
		return response.ResponseWriter
	}
	return p.w
}

func (p *plain) Header() http.Header { return p.w.Header() }

func (p *plain) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if response, err := echo.UnwrapResponse(p.w); err == nil {
			response.ResponseWriter.WriteHeader(status) // Echo would take it for the answer
			return
		}
	}
	p.w.WriteHeader(status)
}

func (p *plain) Write(b []byte) (int, error) { return p.w.Write(b) }

func (p *plain) WriteString(s string) (int, error) { return io.WriteString(p.w, s) }

func (p *plain) Flush() { _ = p.FlushError() }

// FlushError commits Echo's Response, whose own Flush does not, and panics where
// the server cannot flush.
func (p *plain) FlushError() error {
	response, ok := p.w.(*echo.Response)
	if ok && !response.Committed {
		response.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(p.Unwrap()).Flush()
}

func (p *plain) hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(p.w).Hijack()
}

func (p *plain) closeNotify() <-chan bool {
	//lint:ignore SA1019 see abilities
	return p.Unwrap().(http.CloseNotifier).CloseNotify()
}

func (p *plain) push(target string, opts *http.PushOptions) error {
	return p.Unwrap().(http.Pusher).Push(target, opts)
}
