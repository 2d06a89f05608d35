package session

import (
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
)

// SetStore has m keep its sessions in another store.
func SetStore(m *Manager, s scs.Store) { m.scs.Store = s }

// Codec is the default codec.
type Codec = compactCodec

// Glance is what a glance at an encoded session sees.
func Glance(c scs.Codec, b []byte) (deadline time.Time, remembered bool, user string, err error) {
	g, err := checkedCodec{c}.glance(b)
	return g.deadline, g.remembered, g.user, err
}

// The keys that Glance reads.
const (
	RememberKey = rememberKey
	UserKey     = userKey
)

// ErrClock is what the hook gets when the clocks of the machines differ.
var ErrClock = errClock

// Tokens are what the cookies of a request have that can be a token.
func Tokens(m *Manager, r *http.Request) []string { return m.tokens(nil, r) }
