//go:build unix

package redistest

import (
	"context"
	"slices"
	"testing"
)

// SlotMove is a slot on its way from one master of a cluster to another, as
// redis-cli --cluster reshard moves it.
type SlotMove struct {
	Slot     any // its number
	From, To *Server
	masters  []*Server
}

// OpenSlot begins to move the slot of key to another master. Until Finish, keys that
// are not there any more are at the new one (ASK), and a command with keys on both
// is refused (TRYAGAIN).
func (c *ClusterServers) OpenSlot(t testing.TB, key string) *SlotMove {
	t.Helper()
	from := c.MasterOf(t, key)
	masters := c.Masters()
	at := slices.IndexFunc(masters, func(s *Server) bool { return s != from })
	if at < 0 {
		t.Fatal("redistest: there is no other master")
	}
	m := &SlotMove{From: from, To: masters[at], masters: masters}
	m.Slot = m.do(t, from, "cluster", "keyslot", key)
	m.set(t, m.To, "importing", m.id(t, m.From))
	m.set(t, m.From, "migrating", m.id(t, m.To))
	return m
}

// Migrate moves these keys.
func (m *SlotMove) Migrate(t testing.TB, keys ...any) {
	t.Helper()
	m.do(t, m.From, append([]any{"migrate", "127.0.0.1", m.To.port, "", 0, 5000, "keys"}, keys...)...)
}

// MigrateHalf moves half of the keys of the slot.
func (m *SlotMove) MigrateHalf(t testing.TB) {
	t.Helper()
	if keys := m.keys(t); len(keys) > 0 {
		m.Migrate(t, keys[:(len(keys)+1)/2]...)
	}
}

// Finish moves what is left, and gives the slot to the new master.
func (m *SlotMove) Finish(t testing.TB) {
	t.Helper()
	for keys := m.keys(t); len(keys) > 0; keys = m.keys(t) {
		m.Migrate(t, keys...)
	}
	id := m.id(t, m.To)
	m.set(t, m.To, "node", id) // first: from then on it is served there
	for _, s := range m.masters {
		if s != m.To {
			m.set(t, s, "node", id)
		}
	}
}

// keys returns keys that are not moved yet.
func (m *SlotMove) keys(t testing.TB) []any {
	t.Helper()
	keys, _ := m.do(t, m.From, "cluster", "getkeysinslot", m.Slot, 1000).([]any)
	return keys
}

func (m *SlotMove) set(t testing.TB, s *Server, state string, id any) {
	t.Helper()
	m.do(t, s, "cluster", "setslot", m.Slot, state, id)
}

func (m *SlotMove) id(t testing.TB, s *Server) any {
	t.Helper()
	return m.do(t, s, "cluster", "myid")
}

func (m *SlotMove) do(t testing.TB, s *Server, args ...any) any {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	reply, err := s.do(ctx, args...)
	if err != nil {
		t.Fatalf("redistest: slot %v: %v", m.Slot, err)
	}
	return reply
}
