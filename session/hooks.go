package session

import "context"

// Hooks observe a [Manager], for metrics, audit logs and tests; see
// [WithHooks]. Any may be nil. They run on the goroutine that uses the session
// and delay the request, so they must not block, nor use the session. They
// never get a token. ctx has the values of the request's context.
type Hooks struct {
	// Loaded is called when a request first uses its session: found is false
	// for a new one. It is not called if the load fails; Failed is.
	Loaded func(ctx context.Context, found bool)
	// Saved is called after the session was written. It is not called for a
	// session that has not changed, nor for one whose idle timeout is renewed.
	Saved func(ctx context.Context)
	// Merged is called after a save that was merged with the saves of other
	// requests, with how many times it was. High numbers mean many requests
	// that change one session concurrently.
	Merged func(ctx context.Context, times int)
	// Event is called when a session was created, rotated or destroyed, and for
	// a token that no session has, see [Event].
	Event func(ctx context.Context, e Event)
	// Prefetched is called for each session that was read in the round trip of an
	// outer middleware, see [WithPrefetch]: used is false if the request did not
	// use it, and then the hook may run when the response is sent already.
	Prefetched func(ctx context.Context, used bool)
	// Failed is called for each failure: [ErrUnavailable], [ErrRefused],
	// [ErrGone], [ErrConflict], [ErrHeadersSent], [ErrCorrupt], [ErrEncode],
	// [ErrTooLarge], [ErrUnknownKey].
	Failed func(ctx context.Context, err error)
}

// Event is what happened to a session, for audit logs and metrics.
type Event struct {
	// Kind is "created" when a session was saved for the first time, "rotated" when
	// it was saved under a new token, "destroyed" when it was logged out, and
	// "unknown" for a well-formed token that no session has: it has expired, or was
	// guessed.
	Kind string
	// Handle names the session as in [Device].
	Handle string
}

// The kinds of an Event.
const (
	eventCreated   = "created"
	eventRotated   = "rotated"
	eventDestroyed = "destroyed"
	eventUnknown   = "unknown"
)

const handleSize = 16 // of a Handle, in characters

func (m *Manager) event(ctx context.Context, kind, hash string) {
	if m.hooks.Event != nil {
		m.hooks.Event(ctx, Event{kind, hash[:min(len(hash), handleSize)]})
	}
}

func (m *Manager) loaded(ctx context.Context, found bool) {
	if m.hooks.Loaded != nil {
		m.hooks.Loaded(ctx, found)
	}
}
