package session

import (
	"context"
	"errors"
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
	m.state(ctx).loggedIn()
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
	st := m.state(m.in(ctx))
	st.load()
	at := st.where(ctx)
	hash, user := st.inRedis()
	if err := m.scs.Destroy(ctx); err != nil {
		return err
	}
	st.moved(ctx)
	if at == "" && st.unreadable != "" { // a logout needs no key
		at = st.unreadable
		if err := m.store.delete(ctx, at); err != nil {
			return err
		}
	}
	if at == "" {
		return nil
	}
	m.event(ctx, Destroyed, at)
	if err := st.leave(ctx, user, hash); err != nil {
		m.failed(ctx, err) // it names a session that is gone: harmless
	}
	return m.index.confirm(ctx, at)
}

// Device is one session of a user.
type Device struct {
	// Handle names it for Revoke. It is part of the token's hash and opens
	// nothing.
	Handle   string
	Created  time.Time
	Deadline time.Time
	// LastSeen is exact to a tenth of the idle time. In the last idle time
	// before the deadline it is when that began. It is zero, unknown, with
	// [Manager.RememberMe]: what does not end when it is idle is not renewed.
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
		d := Device{Handle: hashes[i][:handleSize], Deadline: deadline, Current: hashes[i] == current}
		d.LastSeen = m.lastSeen(data, v)
		created, _ := data[createdKey].(string)
		d.Created, _ = time.Parse(time.RFC3339, created)
		d.Address, _ = data[addressKey].(string)
		d.UserAgent, _ = data[agentKey].(string)
		devices = append(devices, d)
	}
	slices.SortStableFunc(devices, func(a, b Device) int { return b.Created.Compare(a.Created) })
	return devices, nil
}

func (m *Manager) lastSeen(data map[string]any, v kept) time.Time {
	if data[rememberKey] == true {
		return time.Time{}
	}
	return v.expires.Add(-m.idle)
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

// Revoke ends one session of a user, by its handle. If that is the session of
// ctx, the response removes its cookie, as after [Manager.RevokeAll].
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
			m.state(ctx).revoke(ctx, []string{hash}, false, user)
			if err := m.index.remove(ctx, user, hash); err != nil {
				return err
			}
			return m.index.confirm(ctx, hash)
		}
	}
	return ErrNoDevice
}

// RevokeAll ends all sessions of a user and returns how many there were. A
// login of that user that another request has under way fails with [ErrGone].
//
// If the session of ctx is the user's, it ends too: what is put into it
// afterwards is not saved, and the response removes the cookie. A Login or
// RenewToken that follows in the same request makes a new session, which stays;
// one that came before is ended with the others. To keep the session of ctx
// use [Manager.RevokeOthers], before or after Login or RenewToken.
func (m *Manager) RevokeAll(ctx context.Context, user string) (int, error) {
	hashes, err := m.index.revoke(ctx, user, "")
	m.state(ctx).revoke(ctx, hashes, true, user)
	return len(hashes), err
}

// RevokeOthers ends all sessions of this session's user but this one, also if
// Login or RenewToken gave it a new token in this request, before or after. It
// is what a change of the password calls.
func (m *Manager) RevokeOthers(ctx context.Context) (int, error) {
	st := m.state(m.in(ctx))
	user, at := m.User(ctx), st.where(ctx)
	if user == "" || at == "" {
		return 0, errors.New("session: not logged in")
	}
	hashes, err := m.index.revoke(ctx, user, at)
	st.revoke(ctx, hashes, false, user)
	return len(hashes), err
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
	epoch, ended, err := m.index.add(ctx, user, hash, replaces, deadline)
	st.mu.Lock()
	st.revoked = append(st.revoked, ended...) // the work of this request
	st.mu.Unlock()
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
