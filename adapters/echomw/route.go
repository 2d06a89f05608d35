package echomw

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v5"
)

// routed is the request with a context, and with the pattern and the path
// values of Echo's route as ServeMux would set them. Without a route, also where
// one matches but for its method, it has no pattern.
func routed(ctx context.Context, c *echo.Context) *http.Request {
	r := c.Request().WithContext(ctx)
	path := c.Path()
	if path == "" || c.Get(echo.ContextKeyHeaderAllow) != nil {
		r.Pattern = ""
		return r
	}
	p := pattern(r.Method, path)
	if r.Pattern == p {
		return r // set by an outer middleware
	}
	r.Pattern = p
	for _, value := range c.PathValues() {
		r.SetPathValue(value.Name, value.Value)
	}
	return r
}

// pattern is the method and Echo's path with the wildcards of ServeMux:
// /a/:id/* is /a/{id}/{*...}. The name of the last is Echo's.
func pattern(method, path string) string {
	var b strings.Builder
	b.Grow(len(method) + len(" ") + len(path) + 16) // for a few wildcards
	b.WriteString(method)
	b.WriteByte(' ')
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path) && path[i+1] == ':': // a colon, not a wildcard
			i++
			b.WriteByte(':')
		case path[i] == ':':
			name, _, _ := strings.Cut(path[i+1:], "/")
			b.WriteByte('{')
			b.WriteString(name)
			b.WriteByte('}')
			i += len(name)
		case path[i] == '*':
			b.WriteString("{*...}")
		default:
			b.WriteByte(path[i])
		}
	}
	return b.String()
}
