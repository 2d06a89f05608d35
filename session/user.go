package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
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

// Destroy ends the session, here and in its user's index.
func (m *Manager) Destroy(ctx context.Context) error {
	user, token := m.User(ctx), m.Token(ctx)
	if err := m.SessionManager.Destroy(ctx); err != nil {
		return err
	}
	if st := m.state(ctx); st != nil {
		st.moved(ctx)
	}
	if user != "" && token != "" {
		if err := m.index.remove(ctx, user, hashOf(token)); err != nil {
			m.failed(ctx, fmt.Errorf("session: index: %w", err)) // it names a session that is gone: harmless
		}
	}
	return nil
}

// Device is one session of a user.
type Device struct {
	// Handle names it for Revoke. It is part of the token's hash and opens
	// nothing.
	Handle    string
	Created   time.Time
	Deadline  time.Time
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
			current = hashOf(token)
		}
	}
	var devices []Device
	for i, b := range values {
		deadline, data, err := codec{m.codec}.Decode(b)
		if b == nil || err != nil || data[userKey] != user {
			continue // ended by itself, or of somebody else by now
		}
		d := Device{Handle: hashes[i][:handleSize], Deadline: deadline, Current: hashes[i] == current}
		created, _ := data[createdKey].(string)
		d.Created, _ = time.Parse(time.RFC3339, created)
		d.Address, _ = data[addressKey].(string)
		d.UserAgent, _ = data[agentKey].(string)
		devices = append(devices, d)
	}
	slices.SortStableFunc(devices, func(a, b Device) int { return b.Created.Compare(a.Created) })
	return devices, nil
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
			return m.index.remove(ctx, user, hash)
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
	return m.index.revoke(ctx, user, hashOf(token))
}

func (x *index) hashes(ctx context.Context, user string) ([]string, error) {
	ctx, cancel := x.bound(ctx)
	defer cancel()
	cmd := redis.NewStringSliceCmd(ctx, "zrange", x.keys(user)[0], 0, -1)
	if err := x.caller.Process(ctx, cmd); err != nil {
		return nil, fmt.Errorf("%w: index: %w", ErrUnavailable, err)
	}
	return cmd.Val(), nil
}

// values are the stored sessions, nil for those that are gone.
func (x *index) values(ctx context.Context, hashes []string) ([][]byte, error) {
	bound, cancel := x.bound(ctx)
	defer cancel()
	pipe := x.rdb.Pipeline()
	cmds := make([]*redis.StringCmd, len(hashes))
	for i, hash := range hashes {
		cmds[i] = pipe.Get(bound, x.m.prefix+hash)
	}
	if len(cmds) == 0 {
		return nil, nil
	}
	err := x.caller.Do(bound, func(ctx context.Context) error { _, err := pipe.Exec(ctx); return err })
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("%w: index: %w", ErrUnavailable, err)
	}
	values := make([][]byte, len(cmds))
	for i, cmd := range cmds {
		if b, err := cmd.Bytes(); err == nil {
			values[i] = b
		}
	}
	return values, nil
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
	hash, deadline := hashOf(token), m.Deadline(ctx)
	st.mu.Lock()
	known := st.indexed == hash && st.indexedUntil.Equal(deadline)
	replaces := ""
	if len(st.old) > 0 {
		replaces = st.old[0]
	}
	st.mu.Unlock()
	if known {
		return nothing, nil
	}
	epoch, err := m.index.add(ctx, user, hash, replaces, deadline)
	if err != nil {
		return nil, err
	}
	return func() error {
		now, err := m.index.epoch(ctx, user)
		if err == nil && now == epoch {
			st.mu.Lock()
			st.indexed, st.indexedUntil = hash, deadline
			st.mu.Unlock()
			return nil
		}
		if s, ok := m.Store.(*store); ok {
			err = errors.Join(err, s.delete(ctx, hash), m.index.remove(ctx, user, hash))
		}
		if err != nil {
			return err
		}
		return ErrGone
	}, nil
}
