package session

import (
	"context"
	"slices"
	"time"
)

// Device describes a stored session, for its user's list of devices
// ([Manager.Sessions]) and for operators ([Manager.Inspect]). It holds no
// token.
type Device struct {
	// Handle names the session for [Manager.Revoke] and in [Event]: the first
	// 16 characters of the token's hash. It opens no session, so a page may
	// show it.
	Handle string
	// User is the user of [Manager.Login], "" for an anonymous session.
	// Created, by the clock of the instance, Address and UserAgent are from
	// that login as well, and empty without it. Deadline is when the session
	// ends however much it is used, see [Manager.Deadline].
	User     string
	Created  time.Time
	Deadline time.Time
	// LastSeen is when the session was last used, exact to a tenth of the idle
	// timeout. Once the deadline is less than an idle timeout away, it no longer
	// advances. It is zero with [Manager.RememberMe]: a session without an idle
	// timeout is not renewed.
	LastSeen  time.Time
	Address   string
	UserAgent string
	// Current reports whether it is the session of the context. [Manager.Inspect]
	// leaves it false.
	Current bool
	// Values are the values of the session without those above. Only
	// [Manager.Inspect] sets them.
	Values map[string]any
}

// Sessions returns the sessions of a user, the latest login first, for a page
// of devices. It reads the index and the sessions, in two round trips; on a
// cluster the second is one to each master. A user without sessions has none,
// which is not an error. Sessions that cannot be decoded are left out.
//
// ctx need not be that of a request; Current is then false for all. While Redis
// is unavailable the error matches [ErrUnavailable].
func (m *Manager) Sessions(ctx context.Context, user string) ([]Device, error) {
	hashes, err := m.index.hashes(ctx, user)
	if err != nil {
		return nil, err
	}
	values, err := m.index.values(ctx, hashes)
	if err != nil {
		return nil, err
	}
	current := ""
	if st := m.state(ctx); st != nil {
		current = st.where(ctx)
	}
	var devices []Device
	for i, v := range values {
		if v.bytes == nil {
			continue
		}
		deadline, data, err := m.open(hashes[i], v.bytes)
		if err != nil || data[userKey] != user {
			continue // it has expired, or belongs to another user by now
		}
		d := m.device(hashes[i], v, deadline, data)
		d.Current, d.Values = hashes[i] == current, nil
		devices = append(devices, d)
	}
	slices.SortStableFunc(devices, func(a, b Device) int { return b.Created.Compare(a.Created) })
	return devices, nil
}

// lastSeen derives the last use from the TTL of the key: a use sets it to the
// idle timeout.
func (m *Manager) lastSeen(data map[string]any, v kept) time.Time {
	if data[rememberKey] == true {
		return time.Time{}
	}
	return v.expires.Add(-m.idle)
}

// open decodes what Redis has of a session.
func (m *Manager) open(hash string, stored []byte) (deadline time.Time, data map[string]any, err error) {
	b, err := m.seal.open(m.base, hash, stored)
	if err != nil {
		return time.Time{}, nil, err
	}
	return m.codec.Decode(b)
}

// device returns what is known of a stored session. It removes from data what it
// takes from it.
func (m *Manager) device(hash string, v kept, deadline time.Time, data map[string]any) Device {
	text := func(key string) string {
		s, _ := data[key].(string)
		delete(data, key)
		return s
	}
	d := Device{Handle: hash[:min(len(hash), handleSize)], Deadline: deadline, LastSeen: m.lastSeen(data, v)}
	d.User, d.Address, d.UserAgent = text(userKey), text(addressKey), text(agentKey)
	d.Created, _ = time.Parse(time.RFC3339, text(createdKey))
	d.Values = data
	return d
}
