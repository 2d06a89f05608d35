package echomw

import (
	"io"
	"net/http"

	"github.com/labstack/echo/v5"
)

// plain is Echo's response as net/http knows writers: an informational
// response is not the answer, a flush begins it, and nobody is told that it can do
// what the server cannot.
type plain struct{ w http.ResponseWriter }

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
