package ginmw

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// routed is the request with a context, and with the pattern and the path
// values of gin's route as ServeMux would set them.
func routed(ctx context.Context, c *gin.Context) *http.Request {
	r := c.Request.WithContext(ctx)
	path := c.FullPath()
	if path == "" {
		return r
	}
	p := pattern(r.Method, path, c.Params)
	if r.Pattern == p {
		return r // set by an outer middleware
	}
	r.Pattern = p
	for _, param := range c.Params {
		value := param.Value
		if strings.HasSuffix(path, "/*"+param.Key) {
			value = strings.TrimPrefix(value, "/") // gin's has the slash before it
		}
		r.SetPathValue(param.Key, value)
	}
	return r
}

// pattern is the method and gin's path with the wildcards of ServeMux: /a/:id/*rest is
// /a/{id}/{rest...}. A colon that no parameter follows is one that was escaped.
func pattern(method, path string, params gin.Params) string {
	var b strings.Builder
	b.Grow(len(method) + len(" ") + len(path) + len("{...}")*len(params))
	b.WriteString(method)
	b.WriteByte(' ')
	for _, param := range params {
		at := strings.Index(path, ":"+param.Key)
		rest := at < 0
		if rest {
			at = strings.Index(path, "*"+param.Key)
		}
		if at < 0 {
			continue
		}
		b.WriteString(path[:at])
		b.WriteByte('{')
		b.WriteString(param.Key)
		if rest {
			b.WriteString("...")
		}
		b.WriteByte('}')
		path = path[at+1+len(param.Key):]
	}
	b.WriteString(path)
	return b.String()
}
