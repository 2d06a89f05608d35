package session

import (
	"context"
	"errors"
)

// KeyPrefixes are what keys of sessions begin with, see [WithKeyPrefix]; legacy is
// that of [WithScsSessions], "" without. Behind legacy stand tokens: show no
// such key to anybody.
func (m *Manager) KeyPrefixes() (own, legacy string) { return m.base, m.legacyPrefix }

// Inspect reads the sessions whose keys end with hashes, in one round trip, and
// returns them by these. Those that are not there are left out; those that cannot
// be read are too, and the error joins why. It changes nothing, not even when a session ends.
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
