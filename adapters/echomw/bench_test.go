package echomw_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/redishttp/redishttp/adapters/echomw"
)

// BenchmarkWrap is what middlewares that do nothing cost in Echo, from none to
// the four of this module.
func BenchmarkWrap(b *testing.B) {
	for _, n := range []int{0, 1, 4} {
		b.Run(fmt.Sprint("middlewares=", n), func(b *testing.B) {
			e := newEcho()
			for range n {
				e.Use(echomw.Wrap(identity))
			}
			e.GET("/orders/:id/pay", func(c *echo.Context) error { return c.NoContent(204) })
			r := httptest.NewRequest("GET", "/orders/7/pay", nil)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				e.ServeHTTP(w, r)
			}
		})
	}
}
