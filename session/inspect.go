package session

import (
	"context"
	"time"
)

// KeyPrefixes are what keys of sessions begin with, see [WithKeyPrefix]; legacy is
// that of [WithScsSessions], "" without. Behind legacy stand tokens: show no
// such key to anybody.
func (m *Manager) KeyPrefixes() (own, legacy string) { return m.prefix, m.legacyPrefix }

// Stored is a session as Redis has it, for operators.
type Stored struct {
	Device
	User   string // "" for an anonymous one
	Values map[string]any
}

// Inspect reads the session whose key ends with hash. ok is false where there
// is none. It changes nothing, not even when the session ends.
func (m *Manager) Inspect(ctx context.Context, hash string) (s Stored, ok bool, err error) {
	values, err := m.index.values(ctx, []string{hash})
	if err != nil || values[0].bytes == nil {
		return Stored{}, false, err
	}
	deadline, data, err := m.open(hash, values[0].bytes)
	if err != nil {
		return Stored{}, false, err
	}
	s.User, _ = data[userKey].(string)
	s.Handle, s.Deadline, s.LastSeen = hash[:min(len(hash), handleSize)], deadline, values[0].expires.Add(-m.idle)
	created, _ := data[createdKey].(string)
	s.Created, _ = time.Parse(time.RFC3339, created)
	s.Address, _ = data[addressKey].(string)
	s.UserAgent, _ = data[agentKey].(string)
	for _, key := range []string{userKey, createdKey, addressKey, agentKey} {
		delete(data, key)
	}
	s.Values = data
	return s, true, nil
}
