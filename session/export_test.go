package session

import "github.com/alexedwards/scs/v2"

// SetStore has m keep its sessions in another store.
func SetStore(m *Manager, s scs.Store) { m.scs.Store = s }
