package idempotency

import (
	"context"
	"net/http"

	"github.com/redishttp/redishttp/internal/problem"
)

// Refusal is why a request is neither run nor replayed, see
// [RefusalFromContext].
type Refusal struct {
	Reason Reason
	Status int
}

type refusalKey struct{}

// RefusalFromContext returns why the handler of [WithDenyHandler] is called,
// and with which status it should respond. It is false for any other context.
func RefusalFromContext(ctx context.Context) (Refusal, bool) {
	ref, ok := ctx.Value(refusalKey{}).(Refusal)
	return ref, ok
}

// refusals are the responses (section 2.7 of the draft and RFC 9457).
var refusals = map[Reason]struct {
	status        int
	retry         bool
	title, detail string
}{
	Missing:         {400, false, "Idempotency-Key is missing", "This operation requires an Idempotency-Key."},
	Malformed:       {400, false, "The request is malformed", "Idempotency-Key is one string of 1 to 255 printable ASCII characters, and the body must be complete."},
	TooLarge:        {413, false, "The request is too large", ""},
	Mismatch:        {422, false, "Idempotency-Key is already used", "This Idempotency-Key was used with another payload. Use a new one for a new request."},
	Busy:            {409, true, "A request is outstanding for this Idempotency-Key", "The same request is being processed. Send it again later to get its result."},
	UnknownOutcome:  {409, false, "The outcome of this request is unknown", "A request with this Idempotency-Key began and was interrupted. It is not run again. Find out what became of it before you use a new key."},
	ResponseNotKept: {409, false, "This request was processed already", "Its response was not kept. It is not run again."},
	Unavailable:     {503, true, "Service Unavailable", "The request was not processed."},
	NoScope:         {500, false, "Internal Server Error", ""},
	Misused:         {500, false, "Internal Server Error", ""},
}

// reject rejects a request that [Keeper.Begin] was not called for, or that it had
// let run.
func (k *Keeper) reject(w http.ResponseWriter, r *http.Request, reason Reason) {
	k.refused(r.Context(), reason)
	k.respond(w, r, reason)
}

// respond writes a refusal. A 409 without Retry-After stays: waiting does not
// help.
func (k *Keeper) respond(w http.ResponseWriter, r *http.Request, reason Reason) {
	ref, h := refusals[reason], w.Header()
	if ref.retry {
		h["Retry-After"] = []string{"1"} // the lease is no measure: most requests are done long before
	}
	problem.NoStore(h)
	if k.deny != nil {
		ctx := context.WithValue(r.Context(), refusalKey{}, Refusal{Reason: reason, Status: ref.status})
		k.deny.ServeHTTP(w, r.WithContext(ctx))
		return
	}
	problem.Problem{Type: k.docs + "#" + string(reason), Title: ref.title, Status: ref.status, Detail: ref.detail}.Write(w, r)
}
