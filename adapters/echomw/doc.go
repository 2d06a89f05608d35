// Package echomw runs middlewares of net/http in Echo v5.
//
//	e := echo.New()
//	e.Use(echomw.Wrap(limiter.Handler), echomw.Wrap(sessions.Handler), echomw.Wrap(responses.Handler))
//	e.POST("/orders/:id/pay", pay, echomw.Wrap(locks.Handler))
//
// # Why not echo.WrapMiddleware
//
// An Echo handler returns its errors, and Echo writes the error page after all
// middlewares have returned. Behind echo.WrapMiddleware a middleware of net/http sees
// a handler that wrote nothing: a lock is released before the page is written, a
// session is saved as after a success. Here the error handler runs inside, as the last step of
// the next handler. The cost: Echo's own outer middlewares still get the error, but
// the response is committed and they cannot change it. An error handler of your own must return if
// the response is committed, as Echo's documentation says, because Echo calls it again.
//
// # What is guaranteed
//
// A middleware that does not call its next handler stops the chain. What it passes
// on, a request with another context or body and a writer of its own, is what inner
// handlers get from c.Request and c.Response; when it returns, both are restored.
// Panics pass through it, to Echo's Recover or the server.
//
// Flush, Hijack and [http.ResponseController] reach the server, and report its
// errors. Informational responses (1xx) that a handler writes to the writer inside
// [echo.Response] are sent at once; written to the Response itself they are final, as always in Echo.
//
// A middleware's writer is an [http.Hijacker], http.CloseNotifier and [http.Pusher]
// exactly where the server's is.
//
// # Which context to pass
//
// Pass c.Request().Context() to what needs the request's context. An echo.Context is not
// a context.Context, and c.Get does not have the values that middlewares of net/http put there.
//
//	sessions.Put(c.Request().Context(), "user", name)
//
// # Patterns
//
// The request has the pattern and the path values of Echo's route, in the form
// of [http.ServeMux]: POST /orders/:id/pay is "POST /orders/{id}/pay", and
// r.PathValue("id") is c.Param("id"). So the locks of package lockmw have the right keys
// without an option: Echo's own pattern is /orders/:id/pay, one lock for all orders.
// A request that no route matches has no pattern. The default key of a lock,
// [lockkey.Path], needs none; with [lockkey.Pattern] put locks on routes or groups.
//
// # Background calls
//
// A middleware may call its next handler for a response that is not the client's, as
// package cache does to refresh an entry while it sends the stale one, even after the
// request has ended and Echo uses its Context for another. Such a call is recognized by its
// response header, which is not the client's. Echo serves it from the start, on
// a Context of its own: Echo's own middlewares run again; those wrapped here run again only
// inside the one that made the call.
//
// # Limitations
//
// [io.ReaderFrom] is not offered, because Echo does not offer it. Where Echo answers HEAD by
// itself (RouterConfig.AutoHandleHEAD), an error of a route with middlewares of its
// own has Content-Length: 0.
//
// [lockkey.Path]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw/lockkey#Path
// [lockkey.Pattern]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw/lockkey#Pattern
package echomw
