package idempotency

import (
	"context"
	"net/http"

	"github.com/redishttp/redishttp/internal/problem"
)

// Refusal is why a request is neither run nor replayed, see
// [RefusalFromContext].
type Refusal struct {
	// Reason is one of the following. It is also the fragment of the problem's type.
	//
	//   - "missing": there is no key, 400.
	//   - "malformed": the key is not one short string, or the body breaks off, 400.
	//   - "too-large": the body is larger than [WithMaxRequestBody] allows, 413.
	//   - "mismatch": the key was used with another payload, 422.
	//   - "busy": the same request is under way, 409 with Retry-After.
	//   - "unknown-outcome": the request began, and how it ended is unknown, 409.
	//   - "not-kept": the request was processed, but its response was not kept, 409.
	//   - "unavailable": Redis does not answer, 503 with Retry-After.
	//   - "no-scope": the [ScopeFunc] names no user, 500.
	//   - "misused": the handler is wrapped twice, or the body was read before, 500.
	Reason string
	// Status is the status of the default response.
	Status int
}

// The values of [Refusal.Reason].
const (
	reasonMissing         = "missing"
	reasonMalformed       = "malformed"
	reasonTooLarge        = "too-large"
	reasonMismatch        = "mismatch"
	reasonBusy            = "busy"
	reasonUnknownOutcome  = "unknown-outcome"
	reasonResponseNotKept = "not-kept"
	reasonUnavailable     = "unavailable"
	reasonNoScope         = "no-scope"
	reasonMisused         = "misused"
)

type refusalKey struct{}

// RefusalFromContext returns why the handler of [WithDenyHandler] is called, and
// with which status it responds unless it sends another. It is false for any other context.
func RefusalFromContext(ctx context.Context) (Refusal, bool) {
	ref, ok := ctx.Value(refusalKey{}).(Refusal)
	return ref, ok
}

// refusals are the responses (section 2.7 of the draft and RFC 9457).
var refusals = map[string]struct {
	status        int
	retry         bool
	title, detail string
}{
	reasonMissing:         {400, false, "Idempotency-Key is missing", "This operation requires an Idempotency-Key."},
	reasonMalformed:       {400, false, "The request is malformed", "Idempotency-Key is one string of 1 to 255 printable ASCII characters, and the body must be complete."},
	reasonTooLarge:        {413, false, "The request is too large", ""},
	reasonMismatch:        {422, false, "Idempotency-Key is already used", "This Idempotency-Key was used with another payload. Use a new one for a new request."},
	reasonBusy:            {409, true, "A request is outstanding for this Idempotency-Key", "The same request is being processed. Send it again later to get its result."},
	reasonUnknownOutcome:  {409, false, "The outcome of this request is unknown", "A request with this Idempotency-Key began and was interrupted. It is not run again. Find out what became of it before you use a new key."},
	reasonResponseNotKept: {409, false, "This request was processed already", "Its response was not kept. It is not run again."},
	reasonUnavailable:     {503, true, "Service Unavailable", "The request was not processed."},
	reasonNoScope:         {500, false, "Internal Server Error", ""},
	reasonMisused:         {500, false, "Internal Server Error", ""},
}

// reject rejects a request that [Keeper.Begin] was not called for, or that it had
// let run.
func (k *Keeper) reject(w http.ResponseWriter, r *http.Request, reason string) {
	k.refused(r.Context(), reason)
	k.respond(w, r, reason)
}

// respond writes a refusal. A 409 without Retry-After stays: waiting does not
// help.
func (k *Keeper) respond(w http.ResponseWriter, r *http.Request, reason string) {
	ref, h := refusals[reason], w.Header()
	if ref.retry {
		h["Retry-After"] = []string{"1"} // the lease is no measure: most requests are done long before
	}
	problem.NoStore(h)
	if k.deny != nil {
		ctx := context.WithValue(r.Context(), refusalKey{}, Refusal{Reason: reason, Status: ref.status})
		dw, done := problem.WithStatus(w, ref.status)
		k.deny.ServeHTTP(dw, r.WithContext(ctx))
		done()
		return
	}
	problem.Problem{Type: k.docs + "#" + reason, Title: ref.title, Status: ref.status, Detail: ref.detail}.Write(w, r)
}
