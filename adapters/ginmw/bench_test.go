package ginmw_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/redishttp/redishttp/adapters/ginmw"
)

// BenchmarkWrap is what middlewares that do nothing cost in gin, from none to
// the four of this module.
func BenchmarkWrap(b *testing.B) {
	for _, n := range []int{0, 1, 4} {
		b.Run(fmt.Sprint("middlewares=", n), func(b *testing.B) {
			e := gin.New()
			for range n {
				e.Use(ginmw.Wrap(identity))
			}
			e.GET("/orders/:id/pay", func(c *gin.Context) { c.Status(204) })
			r := httptest.NewRequest("GET", "/orders/7/pay", nil)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				e.ServeHTTP(w, r)
			}
		})
	}
}
