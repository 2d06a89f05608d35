// Package idempotency runs a request once for its Idempotency-Key and sends the
// same response to retries, on all instances of a service
// (draft-ietf-httpapi-idempotency-key-header-07).
//
//	locks, err := lockmw.New(rdb)
//	if err != nil { … }
//	defer locks.Close(ctx)
//	keeper, err := idempotency.New(locks, rdb, func(r *http.Request) (string, error) {
//		return sessions.GetString(r.Context(), "user"), nil // the user that the key belongs to
//	})
//	if err != nil { … }
//	defer keeper.Close(ctx)
//	mux.Handle("POST /payments", keeper.Handler(pay))
//
// [New] makes a [Keeper], [Keeper.Handler] is its middleware, and
// [Keeper.Begin] does the same without HTTP, for example for messages that are
// delivered more than once. A handler can call [Forget] and [FromContext].
//
// # How it decides
//
// A request belongs to one user ([ScopeFunc]) and has a method, a path and a
// key; its fingerprint is a hash of these and of query, Content-Type and body
// ([WithFingerprint]). The record of a finished request is sent to retries, in
// one round trip. Otherwise the request acquires a lock of [lockmw], writes to
// the record that it begins, runs, stores its response, and only then does the
// client get it.
//
//	first request                                  runs
//	retry after it                                 its response, with Idempotency-Replayed: true
//	retry while it runs                            409 and Retry-After
//	retry after it was interrupted                 409: the outcome is unknown
//	retry after a response that is not kept        409
//	other payload, while it runs or after it       422
//	no key, or none that can be parsed             400
//	Redis is unavailable                           503 and Retry-After
//
// # Interrupted requests
//
// An interrupted request, whose process was killed or whose handler panicked,
// may have had its effect: it is not run again, unless [WithRerun] says that
// the handler is safe for that. Errors are kept too, for the same reason; a
// handler that knows that nothing happened calls [Forget], and [WithKeepStatus]
// decides by status.
//
// The handler's context does not end when the client disconnects, so that the
// client's retry finds the result ([WithCancellation]). It ends when the lock
// is lost, and with the client once the response streams; what fails after that
// is of unknown outcome.
//
// # Responses
//
// Responses are held back, up to [WithMaxResponseBody]. Flushing has no effect
// before; beyond it the response streams and is not kept. Neither is one with
// trailers. A handler that writes nothing has responded with 200, as net/http
// sends it: error pages must be written by inner middlewares, not by outer
// ones. Connections cannot be hijacked.
//
// Fields that outer middlewares set are not kept: they set them again for a
// replay. Middlewares that authenticate, set cookies or reject requests for a
// while (a limiter, [lockmw.Locker.Handler]) must be outside, because inside
// their responses would be kept.
//
// # When Redis fails
//
// Each call times out after 250 ms ([WithTimeout]). A request that cannot be
// looked up, locked or recorded gets 503 and does not run. A call whose reply
// was lost is sent again, and has its effect once. A result that Redis does not
// accept within a second goes to the client all the same; it is recorded in the
// background for another minute, after which the outcome is unknown.
//
// A record that Redis loses, by eviction or in a failover, lets the request run
// again. [WithWaitReplicas] has handlers wait until replicas have the record;
// keep it in a Redis that does not evict.
//
// # Keys
//
// idempotency:v1:<name>:{<hash>} is a hash: state, fingerprint, fence and owner
// of the last attempt, number of attempts, response. It lives for 24 hours
// ([WithTTL]) after the request, and for 10 minutes after one that was
// forgotten. The lock is lockmw's. [ParseKey] and [Inspect] read them.
//
// # Limitations
//
// It is not a transaction. A process that dies between what a handler does and
// the record of it leaves an unknown outcome, not an undone one; only the store
// that the handler writes to can tell. [Attempt.Fence] is for it. It does not
// limit how often a client comes, and keeps no order among requests with
// different keys.
package idempotency
