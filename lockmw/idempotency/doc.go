// Package idempotency runs a request once for its Idempotency-Key and answers
// retries with what it answered, over all instances of a service
// (draft-ietf-httpapi-idempotency-key-header-07).
//
//	locks, err := lockmw.New(rdb)
//	if err != nil { … }
//	defer locks.Close(ctx)
//	keeper, err := idempotency.New(locks, rdb, func(r *http.Request) (string, error) {
//		return sessions.GetString(r.Context(), "user"), nil // whose key it is
//	})
//	if err != nil { … }
//	defer keeper.Close(ctx)
//	mux.Handle("POST /payments", keeper.Handler(pay))
//
// # How it decides
//
// A request is one user's, with a method, a path and a key; its fingerprint is a hash
// of these and of query, Content-Type and body. A finished request's record
// answers retries, in one round trip. Otherwise the request takes a
// lock of [lockmw], notes in the record that it begins, runs, notes
// what it answered, and only then does the client get it.
//
//	first request                                  runs
//	retry after it                                 its answer, with Idempotency-Replayed: true
//	retry while it runs                            409 and Retry-After
//	retry after it was interrupted                 409: the outcome is unknown
//	retry after an answer that is not kept         409
//	other payload, while it runs or after it       422
//	no key, or none that can be read               400
//	Redis does not answer                          503 and Retry-After
//
// An interrupted request, whose process was killed or whose handler panicked, may
// have done what it was to do: it is not run again, unless [WithRerun] says that the
// handler bears it. Errors are kept too, for the same reason; a handler that
// knows that nothing happened calls [Forget], and [WithKeepStatus] decides by status.
//
// The handler's context does not end when the client hangs up, for the client's
// retry is to find the result ([WithCancellation]). It ends when the lock is
// lost, and with the client once the response streams; what fails after that is
// of unknown outcome.
//
// Responses are held back, up to [WithMaxResponseBody]. Flushing does nothing
// before; beyond it the response streams and is not kept. Neither is one with
// trailers. A handler that writes nothing has answered 200, as net/http sends
// it: error pages must be written by inner middlewares, not by outer ones.
// Connections cannot be hijacked.
//
// Fields that outer middlewares set are theirs, and not kept. What knows
// the user must be there, and what sets cookies or refuses for a while (a
// limiter, [lockmw.Locker.Handler]) belongs there: its answers would be kept.
//
// [Keeper.Begin] does the same without HTTP.
//
// # When Redis fails
//
// Each call has 250 ms ([WithTimeout]). A request that cannot be looked up,
// locked or recorded gets 503 and does not run. A reply that was lost is
// asked for again, and what it stands for is done once. A result that Redis
// does not take within a second goes to the client all the same; it is tried
// for another minute to record it, the outcome is unknown after that.
//
// A record that Redis loses, by eviction or in a failover, lets the request
// run again. [WithWaitReplicas] has handlers wait until replicas have the
// record; keep it in a Redis that does not evict.
//
// # Keys
//
// idempotency:v1:<name>:{<hash>} is a hash: state, fingerprint, fence and owner of the last
// attempt, number of attempts, response. It lives for 24 hours ([WithTTL])
// after the request, and for 10 minutes after one that was forgotten. The lock is
// lockmw's.
//
// # What it is not
//
// It is no transaction. A process that dies between what a handler does and the
// record of it leaves an unknown outcome, not an undone one; only the
// store that the handler writes to can tell. [Attempt.Fence] is for it.
// It does not limit how often a client comes, and keeps no order among
// requests with different keys.
package idempotency
