// Package ginmw runs middlewares of net/http in gin.
//
//	router := gin.New()
//	router.Use(ginmw.Wrap(limiter.Handler), ginmw.Wrap(sessions.Handler), ginmw.Wrap(responses.Handler))
//	router.POST("/orders/:id/pay", ginmw.Wrap(locks.Handler), pay)
//
// # What is guaranteed
//
// A middleware that does not call its next handler stops gin's chain, whose
// later handlers do not run. What it passes on, a request with another context or body
// and a writer of its own, is what gin's later handlers get from c.Request and
// c.Writer. When it returns, both are restored. Panics pass through it, to gin.Recovery
// or the server.
//
// It sees responses as it would in net/http: gin only notes a status and sends it
// late, so a status without a body is sent when gin's handlers return,
// and the 404 and 405 that gin writes after its handlers are written inside the middleware. Flush,
// Hijack and [http.ResponseController] reach the server and report its errors, and
// informational responses (1xx) go out at once. A middleware's writer is an
// [http.Hijacker], http.CloseNotifier and [http.Pusher] exactly where the server's is: on
// HTTP/2 it is not a Hijacker. Handlers' c.Writer has CloseNotify always, so
// c.Stream works, also in a refresh that no client waits for.
//
// # Which context to pass
//
// Pass c.Request.Context() to what needs the request's context, never c itself:
//
//	sessions.Put(c.Request.Context(), "user", name)
//	work(c.Request.Context()) // ends when the lock is lost
//
// A gin.Context is a context.Context too, so c compiles. But unless
// [gin.Engine].ContextWithFallback is set, it has none of the values that
// middlewares of net/http put into the request's context, and it never ends:
// a session manager panics, because it finds no session, and what runs under a lock
// is not cancelled. With ContextWithFallback, c and c.Request.Context() are alike.
//
// # Patterns
//
// The request has the pattern and the path values of gin's route, in the form
// of [http.ServeMux]: POST /orders/:id/pay is "POST /orders/{id}/pay", and
// r.PathValue("id") is c.Param("id"). So the locks of package lockmw have the right
// keys without an option.
// A request that no route matches has no pattern. The default key of a lock,
// [lockkey.Path], needs none; with [lockkey.Pattern] put locks on routes or groups.
//
// # Background calls
//
// A middleware may call its next handler for a response that is not the client's, as
// package cache does to refresh an entry while it sends the stale one, even after the
// request has ended and gin uses its Context for another. Such a call is recognized by its
// response header, which is not the client's, and runs on a copy of the Context: outer
// handlers do not see what is set or aborted there.
//
// # Limitations
//
// [io.ReaderFrom] is not offered, because gin does not offer it. The redirects that gin makes for a
// trailing slash come from its router and pass no middleware.
//
// [lockkey.Path]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw/lockkey#Path
// [lockkey.Pattern]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw/lockkey#Pattern
package ginmw
