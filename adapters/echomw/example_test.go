package echomw_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/redishttp/redishttp/adapters/echomw"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// All four middlewares: limiter, session and cache around all routes, in this order, the
// lock on the route that needs it.
func Example() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	rdb := conn.Client()
	limiter, err1 := ratelimit.New(rdb, ratelimit.Rate(100, time.Minute), ratelimit.WithTimeout(5*time.Second))
	sessions, err2 := session.New(rdb, session.WithTimeouts(5*time.Second, 5*time.Second))
	responses, err3 := cache.New(rdb)
	locks, err4 := lockmw.New(rdb)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close(context.Background())
	defer responses.Close(context.Background())

	e := echo.New()
	e.Use(echomw.Wrap(limiter.Handler), echomw.Wrap(sessions.Handler), echomw.Wrap(responses.Handler))
	e.POST("/orders/:id/pay", func(c *echo.Context) error {
		sessions.Put(c.Request().Context(), "paid", c.Param("id"))
		return c.String(http.StatusOK, "order "+c.Param("id")+" paid")
	}, echomw.Wrap(locks.Handler))

	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/orders/7/pay", nil))
	fmt.Println(w.Code, w.Body)
	fmt.Println(w.Header().Get("RateLimit"))
	fmt.Println(w.Result().Cookies()[0].Name)
	// Output:
	// 200 order 7 paid
	// "100-per-60s";r=99;t=1
	// __Host-session
}

// A middleware of net/http sees the response to an error that a handler returns.
func ExampleWrap() {
	observe := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			fmt.Println(r.Pattern, "has answered:", w.Header().Get("Content-Type"))
		})
	}
	e := echo.New()
	e.GET("/users/:id", func(c *echo.Context) error {
		return echo.NewHTTPError(http.StatusNotFound, "no user "+c.Param("id"))
	}, echomw.Wrap(observe))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/users/7", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// GET /users/{id} has answered: application/json
	// 404 {"message":"no user 7"}
}

// Recover inside a middleware turns a panic into a response, which the middleware takes
// for the handler's: a session is saved after it. Put it outside.
func ExampleWrap_incorrect() {
	var sessions *session.Manager
	e := echo.New()
	_ = func() { e.Use(echomw.Wrap(sessions.Handler), middleware.Recover()) }
}
