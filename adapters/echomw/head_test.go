package echomw_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/redishttp/redishttp/adapters/echomw"
)

// Echo can answer HEAD with what a GET would send.
func TestAnswersHead(t *testing.T) {
	for name, h := range map[string]echo.HandlerFunc{
		"200":      func(c *echo.Context) error { return c.String(200, "hello") },
		"204":      func(c *echo.Context) error { return c.NoContent(204) },
		"an error": func(*echo.Context) error { return errors.New("no") },
		"nothing":  func(*echo.Context) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			build := func(global, local func(http.Handler) http.Handler) *echo.Echo {
				e := echo.NewWithConfig(echo.Config{Logger: slog.New(slog.DiscardHandler), Router: echo.NewRouter(echo.RouterConfig{AutoHandleHEAD: true})})
				if global != nil {
					e.Use(echomw.Wrap(global))
				}
				var m []echo.MiddlewareFunc
				if local != nil {
					m = append(m, echomw.Wrap(local))
				}
				e.GET("/", h, m...)
				return e
			}
			bare := serve(build(nil, nil), "HEAD", "/")
			for place, e := range map[string]*echo.Echo{"around all": build((&spy{}).Handler, nil), "on the route": build(nil, (&spy{}).Handler)} {
				got := serve(e, "HEAD", "/")
				if name == "an error" && place == "on the route" {
					// Echo counts the bytes of the page, which for HEAD has none.
					got.Header().Del("Content-Length")
				}
				if got.Code != bare.Code || got.Body.Len() > 0 || fmt.Sprint(got.Header()) != fmt.Sprint(bare.Header()) {
					t.Errorf("%s: got %d %v %q, want %d %v", place, got.Code, got.Header(), got.Body, bare.Code, bare.Header())
				}
			}
		})
	}
}
