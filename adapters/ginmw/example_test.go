package ginmw_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/redishttp/redishttp/adapters/ginmw"
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

	router := gin.New()
	router.Use(ginmw.Wrap(limiter.Handler), ginmw.Wrap(sessions.Handler), ginmw.Wrap(responses.Handler))
	router.POST("/orders/:id/pay", ginmw.Wrap(locks.Handler), func(c *gin.Context) {
		sessions.Put(c.Request.Context(), "paid", c.Param("id"))
		c.String(http.StatusOK, "order %s paid", c.Param("id"))
	})

	w := httptest.NewRecorder()
	router.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/orders/7/pay", nil))
	fmt.Println(w.Code, w.Body)
	fmt.Println(w.Header().Get("RateLimit"))
	fmt.Println(w.Result().Cookies()[0].Name)
	// Output:
	// 200 order 7 paid
	// "100-per-60s";r=99;t=1
	// __Host-session
}

// Any middleware of net/http stops gin's chain by not calling the next handler.
func ExampleWrap() {
	private := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	router := gin.New()
	router.GET("/users/:id", ginmw.Wrap(private), func(c *gin.Context) {
		c.String(http.StatusOK, "%s is user %s", c.Request.Pattern, c.Param("id"))
	})
	for _, who := range []string{"", "Bearer x"} {
		r := httptest.NewRequest(http.MethodGet, "/users/7", nil)
		r.Header.Set("Authorization", who)
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 401 who are you?
	//
	// 200 GET /users/{id} is user 7
}

// gin.Recovery inside a middleware turns a panic into a response, which the middleware
// takes for the handler's: a session is saved after it. Put it outside.
func ExampleWrap_incorrect() {
	var sessions *session.Manager
	router := gin.New()
	_ = func() { router.Use(ginmw.Wrap(sessions.Handler), gin.Recovery()) }
}
