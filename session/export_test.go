package session

import "github.com/alexedwards/scs/v2"

// SetStore has m keep its sessions in another store.
func SetStore(m *Manager, s scs.Store) { m.scs.Store = s }

// Codec is the default codec.
type Codec = compactCodec

// ErrClock is what the hook gets when the clocks of the machines differ.
var ErrClock = errClock
