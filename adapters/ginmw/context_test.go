package ginmw_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/redishttp/redishttp/adapters/ginmw"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/session"
)

// The request's context has the session and ends with what a middleware ends;
// gin's own does with ContextWithFallback only. A session is found in both.
func TestWhichContextToPass(t *testing.T) {
	conn, err := connect.Open("embedded://", embedded.Option())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	sessions, err := session.New(conn.Client(), session.WithTimeouts(patience, patience))
	if err != nil {
		t.Fatal(err)
	}
	lost := errors.New("lost")
	cancelling := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancelCause(r.Context())
			cancel(lost)
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	for name, tc := range map[string]struct {
		fallback bool
		of       func(*gin.Context) context.Context
	}{
		"the request's":          {false, func(c *gin.Context) context.Context { return c.Request.Context() }},
		"gin's, with a fallback": {true, func(c *gin.Context) context.Context { return c }},
	} {
		engine := gin.New()
		engine.ContextWithFallback = tc.fallback
		engine.Use(ginmw.Wrap(sessions.Handler))
		engine.GET("/", func(c *gin.Context) {
			sessions.Put(tc.of(c), "user", "ada")
			c.String(http.StatusOK, sessions.GetString(tc.of(c), "user"))
		})
		engine.GET("/lost", ginmw.Wrap(cancelling), func(c *gin.Context) {
			select {
			case <-tc.of(c).Done():
			case <-time.After(patience):
				t.Errorf("%s: does not end", name)
			}
			c.Status(http.StatusNoContent)
		})
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if w.Code != http.StatusOK || w.Body.String() != "ada" || len(w.Result().Cookies()) != 1 {
			t.Errorf("%s: got %d %q, cookies %v", name, w.Code, w.Body, w.Result().Cookies())
		}
		engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/lost", nil))
	}
}
