// Package echomw runs middlewares of net/http in Echo v5.
//
//	e := echo.New()
//	e.Use(echomw.Wrap(limiter.Handler), echomw.Wrap(sessions.Handler), echomw.Wrap(responses.Handler))
//	e.POST("/orders/:id/pay", pay, echomw.Wrap(locks.Handler))
//
// # Why not echo.WrapMiddleware
//
// An Echo handler returns its errors, and Echo writes the error page when all
// middlewares have returned. Behind echo.WrapMiddleware a middleware of net/http sees
// a handler that wrote nothing: a lock is released before the page is out, a
// session is saved as if all were well. Here the error handler runs inside, as the last thing
// the next handler does. The price: Echo's own middlewares further out still get the error, but
// the response is committed, and they cannot change it. An error handler of your own must return if
// the response is committed, as Echo's documentation says, for Echo calls it again.
//
// # What holds
//
// A middleware that does not call its next handler stops the chain. What it passes
// on, a request with another context or body and a writer of its own, is what
// c.Request and c.Response are further in; when it returns they are those of before.
// Panics pass through it, to Echo's Recover or the server.
//
// Flush, Hijack and [http.ResponseController] reach the server, and report its
// errors. Informational responses (1xx) that a handler writes to what
// [echo.Response] is around go out at once; to the Response itself they are final, as always in Echo.
//
// A middleware's writer is an [http.Hijacker], http.CloseNotifier and [http.Pusher]
// exactly where the server's is.
//
// # Which context to pass
//
// Pass c.Request().Context() to what needs the request's context. An echo.Context is
// none, and c.Get knows nothing of the values that middlewares of net/http put there.
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
// # Calls beside the request
//
// A middleware may call its next handler for somebody else than the client, as
// package cache does to refresh a response while it sends a stale one, even when the
// request is over and Echo uses its Context for another. Such a call is known by its
// response header, which is not the client's. Echo serves it from the start, on
// a Context of its own; middlewares that are wrapped here do not run again up to the one that
// called, Echo's own do.
//
// # What it is not
//
// [io.ReaderFrom] is not offered, for Echo does not. Where Echo answers HEAD by
// itself (RouterConfig.AutoHandleHEAD), an error of a route with middlewares of its
// own says Content-Length: 0.
//
// [lockkey.Path]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw/lockkey#Path
// [lockkey.Pattern]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw/lockkey#Pattern
package echomw
