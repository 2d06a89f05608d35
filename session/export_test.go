package session

import (
	"net/http"

	"github.com/alexedwards/scs/v2"
)

// SetStore has m keep its sessions in another store.
func SetStore(m *Manager, s scs.Store) { m.scs.Store = s }

// Codec is the default codec.
type Codec = compactCodec

// ErrClock is what the hook gets when the clocks of the machines differ.
var ErrClock = errClock

// Tokens are what the cookies of a request have that can be a token.
func Tokens(m *Manager, r *http.Request) []string { return m.tokens(nil, r) }
