package session

import (
	"bytes"
	"context"
	"reflect"
	"time"

	"github.com/alexedwards/scs/v2"
)

// same reports whether two encodings are of equal sessions. The default codec
// writes equal bytes except for maps; gob writes the keys in any order.
func (m *Manager) same(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if len(a) != len(b) {
		return false
	}
	if !changeable(a) && !changeable(b) { // by the default codec, whose equal sessions are equal bytes
		return false
	}
	c := m.codec
	until, was, err := c.decode(a)
	deadline, now, err2 := c.decode(b)
	return err == nil && err2 == nil && until.Equal(deadline) && reflect.DeepEqual(was, now)
}

// status is scs' status, and Modified also when a value was changed in place: a map,
// or what a pointer points to. scs does not notice such a change.
func (st *state) status(ctx context.Context) scs.Status {
	m := st.m
	status := m.Status(ctx)
	if status != scs.Unmodified || st.loadErr != nil {
		return status
	}
	st.mu.Lock()
	base := st.base
	st.mu.Unlock()
	if base == nil || !changeable(base.bytes) {
		return status
	}
	values, mutable := map[string]any{}, ""
	for _, key := range m.Keys(ctx) {
		if v := m.Get(ctx, key); !immutable(v) {
			values[key], mutable = v, key
		}
	}
	if mutable == "" {
		return status
	}
	_, was, err := m.codec.decode(base.bytes)
	if err != nil {
		return status
	}
	for key, v := range values {
		if !reflect.DeepEqual(was[key], v) {
			m.Put(ctx, key, v)
			return scs.Modified
		}
	}
	return status
}

// immutable reports whether a value cannot be changed in place.
func immutable(value any) bool {
	switch value.(type) {
	case nil, string, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, time.Time, time.Duration:
		return true
	}
	return false
}
