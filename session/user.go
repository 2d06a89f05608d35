package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The keys of what Login keeps in the session itself.
const (
	userKey    = "__user"
	createdKey = "__created"
	addressKey = "__address"
	agentKey   = "__agent"
)

const (
	maxAgent   = 256
	handleSize = 16
)

// Login binds the session to a user, and gives it a new token: call it when a
// user has proved who they are. It takes effect when the session is saved; if
// it cannot be entered into the user's index then, the login fails. Address and
// user agent are for [Manager.Sessions]; they may be empty.
func (m *Manager) Login(ctx context.Context, user, address, userAgent string) error {
	if user == "" {
		return errors.New("session: login: no user")
	}
	if err := m.RenewToken(ctx); err != nil {
		return err
	}
	m.Put(ctx, userKey, user)
	m.Put(ctx, createdKey, time.Now().UTC().Format(time.RFC3339))
	m.Put(ctx, addressKey, address)
	m.Put(ctx, agentKey, userAgent[:min(len(userAgent), maxAgent)])
	return nil
}

// User is the user of [Manager.Login], "" for an anonymous session.
func (m *Manager) User(ctx context.Context) string { return m.GetString(ctx, userKey) }

// Destroy ends the session, here and in its user's index. After
// [ErrUnconfirmed] it is ended all the same.
func (m *Manager) Destroy(ctx context.Context) error {
	user, token := m.User(ctx), m.Token(ctx)
	if err := m.SessionManager.Destroy(ctx); err != nil {
		return err
	}
	st := m.state(ctx)
	if st != nil {
		st.moved(ctx)
	}
	if token == "" {
		return nil
	}
	hash := st.hashOf(token)
	m.event(ctx, Destroyed, hash)
	if user != "" {
		if err := m.index.remove(ctx, user, hash); err != nil {
			m.failed(ctx, fmt.Errorf("session: index: %w", err)) // it names a session that is gone: harmless
		}
	}
	return m.index.confirm(ctx, hash)
}

// Device is one session of a user.
type Device struct {
	// Handle names it for Revoke. It is part of the token's hash and opens
	// nothing.
	Handle   string
	Created  time.Time
	Deadline time.Time
	// LastSeen is exact to a tenth of the idle time. In the last idle time
	// before the deadline it is when that began.
	LastSeen  time.Time
	Address   string
	UserAgent string
	Current   bool // the session of ctx
}

// Sessions lists the sessions of a user, the latest first.
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
		if token := m.Token(ctx); token != "" {
			current = st.hashOf(token)
		}
	}
	var devices []Device
	for i, v := range values {
		if v.bytes == nil {
			continue
		}
		deadline, data, err := m.open(hashes[i], v.bytes)
		if err != nil || data[userKey] != user {
			continue // ended by itself, or of somebody else by now
		}
		d := Device{Handle: hashes[i][:handleSize], Deadline: deadline, Current: hashes[i] == current}
		d.LastSeen = v.expires.Add(-m.idle)
		created, _ := data[createdKey].(string)
		d.Created, _ = time.Parse(time.RFC3339, created)
		d.Address, _ = data[addressKey].(string)
		d.UserAgent, _ = data[agentKey].(string)
		devices = append(devices, d)
	}
	slices.SortStableFunc(devices, func(a, b Device) int { return b.Created.Compare(a.Created) })
	return devices, nil
}

// open decodes what Redis has of a session.
func (m *Manager) open(hash string, stored []byte) (deadline time.Time, data map[string]any, err error) {
	b, err := m.seal.open(m.prefix+hash, stored)
	if err != nil {
		return time.Time{}, nil, err
	}
	return codec{m.codec}.Decode(b)
}

// ErrNoDevice is a handle that none of the user's sessions has.
var ErrNoDevice = errors.New("session: the user has no such session")

// Revoke ends one session of a user, by its handle.
func (m *Manager) Revoke(ctx context.Context, user, handle string) error {
	hashes, err := m.index.hashes(ctx, user)
	if err != nil {
		return err
	}
	for _, hash := range hashes {
		if len(handle) == handleSize && strings.HasPrefix(hash, handle) {
			if err := m.index.unlink(ctx, []string{hash}); err != nil {
				return err
			}
			if err := m.index.remove(ctx, user, hash); err != nil {
				return err
			}
			return m.index.confirm(ctx, hash)
		}
	}
	return ErrNoDevice
}

// RevokeAll ends all sessions of a user and returns how many there were. A
// login of that user that is under way meanwhile fails with [ErrGone].
func (m *Manager) RevokeAll(ctx context.Context, user string) (int, error) {
	return m.index.revoke(ctx, user, "")
}

// RevokeOthers ends all sessions of this session's user but this one.
func (m *Manager) RevokeOthers(ctx context.Context) (int, error) {
	user, token := m.User(ctx), m.Token(ctx)
	if user == "" || token == "" {
		return 0, errors.New("session: nobody is logged in")
	}
	return m.index.revoke(ctx, user, m.state(ctx).hashOf(token))
}

// entered enters a session that is new, or was rotated, or has another
// deadline, before it is saved. left, called afterwards, reports whether all
// sessions of the user were revoked in between.
func (st *state) entered(ctx context.Context) (left func() error, err error) {
	m := st.m
	user, token := m.User(ctx), m.Token(ctx)
	nothing := func() error { return nil }
	if user == "" || token == "" {
		return nothing, nil
	}
	hash, deadline := st.hashOf(token), m.Deadline(ctx)
	st.mu.Lock()
	replaces := ""
	if len(st.old) > 0 {
		replaces = st.old[0]
	}
	st.mu.Unlock()
	if st.indexed(hash, user, deadline) {
		return nothing, nil
	}
	epoch, err := m.index.add(ctx, user, hash, replaces, deadline)
	if err != nil {
		return nil, err
	}
	return func() error {
		now, err := m.index.epoch(ctx, user)
		if err == nil && now == epoch {
			return nil
		}
		if err = errors.Join(err, m.store.delete(ctx, hash), m.index.remove(ctx, user, hash)); err != nil {
			return err
		}
		return ErrGone
	}, nil
}

// indexed reports whether the index has the session as it is: whatever is
// stored was entered before it was stored.
func (st *state) indexed(hash, user string, deadline time.Time) bool {
	base := st.read(hash)
	if base == nil {
		return false
	}
	until, was, err := codec{st.m.codec}.decode(base.bytes)
	return err == nil && was[userKey] == user && until.Equal(deadline)
}
