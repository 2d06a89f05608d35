package session

import (
	"context"
	"errors"
)

// KeyPrefixes returns what keys of sessions begin with, see [WithKeyPrefix];
// legacy is that of [WithScsSessions], "" without. Keys that begin with legacy
// contain tokens: never show one. It is for operators' tools, and asks no
// Redis.
func (m *Manager) KeyPrefixes() (own, legacy string) { return m.base, m.legacyPrefix }

// Inspect reads the sessions whose keys end with hashes, in one round trip to
// each master, and returns them by hash. Those that do not exist are left out;
// those that cannot be read are too, and the error joins why. While Redis is
// unavailable the map is nil and the error matches [ErrUnavailable]. It changes
// nothing, not even when a session ends, and is for operators' tools: a Device
// has all values of the session.
func (m *Manager) Inspect(ctx context.Context, hashes ...string) (map[string]Device, error) {
	values, err := m.index.values(ctx, hashes)
	if err != nil {
		return nil, err
	}
	var errs []error
	found := map[string]Device{}
	for i, v := range values {
		if v.err != nil {
			errs = append(errs, v.err)
		}
		if v.bytes == nil {
			continue
		}
		deadline, data, err := m.open(hashes[i], v.bytes)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found[hashes[i]] = m.device(hashes[i], v, deadline, data)
	}
	return found, errors.Join(errs...)
}
