package idempotency

import (
	"context"
	"encoding/json"
	"net/http"
)

// Refusal is an answer to a request that is neither run nor replayed.
type Refusal struct {
	Reason Reason
	Status int
}

type refusalKey struct{}

// RefusalFromContext returns what the handler of [WithDenyHandler] is to
// answer.
func RefusalFromContext(ctx context.Context) (Refusal, bool) {
	ref, ok := ctx.Value(refusalKey{}).(Refusal)
	return ref, ok
}

// refusals are the answers (section 2.7 of the draft and RFC 9457).
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

// turnAway answers a request that [Keeper.Begin] was not asked about, or that it
// had let run.
func (k *Keeper) turnAway(w http.ResponseWriter, r *http.Request, reason Reason) {
	k.refused(r.Context(), reason)
	k.answer(w, r, reason)
}

// answer writes a refusal. A 409 without Retry-After stays: waiting does not
// help.
func (k *Keeper) answer(w http.ResponseWriter, r *http.Request, reason Reason) {
	ref, h := refusals[reason], w.Header()
	if ref.retry {
		h["Retry-After"] = []string{"1"} // the lease is no measure: most requests are done long before
	}
	h["Cache-Control"] = []string{"no-store"}
	if k.deny != nil {
		ctx := context.WithValue(r.Context(), refusalKey{}, Refusal{Reason: reason, Status: ref.status})
		k.deny.ServeHTTP(w, r.WithContext(ctx))
		return
	}
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{k.docs + "#" + string(reason), ref.title, ref.status, ref.detail})
	if err != nil {
		http.Error(w, http.StatusText(ref.status), ref.status)
		return
	}
	h["Content-Type"] = []string{"application/problem+json"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(ref.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n'))
	}
}
