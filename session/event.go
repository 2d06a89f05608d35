package session

import (
	"context"
	"net/http"
)

// EventKind says what happened to a session.
type EventKind int

// What happens to sessions.
const (
	Created   EventKind = iota + 1 // saved for the first time
	Rotated                        // saved under a new token
	Destroyed                      // logged out
	Unknown                        // a well-formed token that no session has: expired, or guessed
)

func (k EventKind) String() string {
	return [...]string{"none", "created", "rotated", "destroyed", "unknown"}[min(max(k, 0), Unknown)]
}

// Event is one thing that happened to a session.
type Event struct {
	Kind   EventKind
	Handle string // as in [Device], of the session as it is now
}

func (m *Manager) event(ctx context.Context, kind EventKind, hash string) {
	if m.hooks.Event != nil {
		m.hooks.Event(ctx, Event{kind, hash[:min(len(hash), handleSize)]})
	}
}

// RequestKey names the session of a request for other middlewares, for example a lock
// that serialises the requests of a session: it is the hash of the token that
// the cookie has, known or not, and "" without one. It costs no command.
func (m *Manager) RequestKey(r *http.Request) string {
	if tokens := m.tokens(r); len(tokens) > 0 {
		return hashOf(tokens[0])
	}
	return ""
}
