// Package ginmw runs middlewares of net/http in gin.
//
//	router := gin.New()
//	router.Use(ginmw.Wrap(limiter.Handler), ginmw.Wrap(sessions.Handler), ginmw.Wrap(responses.Handler))
//	router.POST("/orders/:id/pay", ginmw.Wrap(locks.Handler), pay)
//
// # What holds
//
// A middleware that does not call its next handler stops gin's chain, whose
// later handlers do not run. What it passes on, a request with another context or body
// and a writer of its own, is what gin's later handlers work with: c.Request and
// c.Writer. When it returns, c.Request and c.Writer are those of before. Panics
// pass through it, to gin.Recovery or the server.
//
// It sees responses as it would in net/http: gin only notes a status and sends it
// late, so one that was set without a body is sent when gin's handlers return,
// and the 404 and 405 that gin writes after its handlers are written within. Flush,
// Hijack and [http.ResponseController] reach the server and report its errors, informational
// responses (1xx) go out at once, and on HTTP/2 no middleware takes its writer for a
// Hijacker.
//
// # Patterns
//
// The request has the pattern and the path values of gin's route, in the form
// of [http.ServeMux]: POST /orders/:id/pay is "POST /orders/{id}/pay", and
// r.PathValue("id") is c.Param("id"). So the locks of package lockmw have the right
// keys without an option.
// A request that no route matches has no pattern, [lockmw.ByPattern] no key for
// it, and the answer would be 500: put locks on routes or groups.
//
// # Calls beside the request
//
// A middleware may call its next handler for somebody else than the client, as
// package cache does to refresh a response while it sends a stale one, even when the
// request is over and gin uses its Context for another. Such a call is known by its
// response header, which is not the client's, and runs on a copy of the Context: what is
// set or aborted there is not seen further out.
//
// # What it is not
//
// [io.ReaderFrom] is not offered, for gin does not. The redirects that gin makes for a
// trailing slash come from its router and pass no middleware.
//
// [lockmw.ByPattern]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw#ByPattern
package ginmw
