package session

import (
	"context"
	"errors"
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

// Inspect reads the sessions whose keys end with hashes, in one round trip, and
// returns them by these. Those that are not there are left out; those that cannot
// be read are too, and the error joins why. It changes nothing, not even when a session ends.
func (m *Manager) Inspect(ctx context.Context, hashes ...string) (map[string]Stored, error) {
	values, err := m.index.values(ctx, hashes)
	if err != nil {
		return nil, err
	}
	var errs []error
	found := map[string]Stored{}
	for i, v := range values {
		if v.err != nil {
			errs = append(errs, v.err)
		}
		if v.bytes == nil {
			continue
		}
		s, err := m.stored(hashes[i], v)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found[hashes[i]] = s
	}
	return found, errors.Join(errs...)
}

func (m *Manager) stored(hash string, v kept) (Stored, error) {
	deadline, data, err := m.open(hash, v.bytes)
	if err != nil {
		return Stored{}, err
	}
	text := func(key string) string {
		s, _ := data[key].(string)
		delete(data, key)
		return s
	}
	s := Stored{User: text(userKey)}
	s.Handle, s.Deadline, s.LastSeen = hash[:min(len(hash), handleSize)], deadline, m.lastSeen(data, v)
	s.Created, _ = time.Parse(time.RFC3339, text(createdKey))
	s.Address, s.UserAgent, s.Values = text(addressKey), text(agentKey), data
	return s, nil
}
