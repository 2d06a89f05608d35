package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The keys of the values that Login puts in the session itself.
const (
	userKey    = "__user"
	createdKey = "__created"
	addressKey = "__address"
	agentKey   = "__agent"
)

const (
	maxAgent = 256
)

// Login binds the session to a user and gives it a new token and [WithLifetime]
// from now. Call it when the user is authenticated. user is any name that stays
// the same, such as the id of an account; "" is an error. address and userAgent
// are shown by [Manager.Sessions]; they may be empty, and userAgent is cut to
// 256 bytes. What the session held before stays.
//
// It takes effect when the session is saved, with the response. If the session
// cannot be added to the user's index then, the login fails, the client gets
// 503, and the old session stays. If a [Manager.RevokeAll] of another request
// runs in between, the new session ends, and [ErrGone] goes to the hook. The
// save costs two round trips more than another one.
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

// User returns the user of [Manager.Login], "" for an anonymous session. Like
// all data methods it loads the session when it is the first.
func (m *Manager) User(ctx context.Context) string { return m.GetString(ctx, userKey) }

// Destroy ends the session: it deletes the session and its entry in the user's
// index now, and the response removes the cookie. Call it at logout. A new
// session costs no command. Put afterwards begins another session, without a
// user.
//
// After [ErrUnconfirmed] it has ended all the same. After another error, such
// as [ErrUnavailable], it may still exist: report that to the user.
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
	m.event(ctx, eventDestroyed, at)
	if err := st.leave(ctx, user, hash); err != nil {
		m.failed(ctx, err) // it names a session that is gone: harmless
	}
	return m.index.confirm(ctx, at)
}

// Revoke ends one session of a user, by its handle, see [Device]. Pass
// [Manager.User] as user, so that no user can end the sessions of another. It
// returns [ErrGone] if none of the user's sessions has that handle. If it is
// the session of ctx, the response removes its cookie, as after
// [Manager.RevokeAll]. ctx need not be that of a request. It costs three round
// trips.
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
	return fmt.Errorf("%w: the user has no session of this handle", ErrGone)
}

// RevokeAll ends all sessions of a user and returns how many there were. A
// login of that user that another request has under way fails with [ErrGone].
// Use it when an account is locked or its credentials were stolen. It costs a
// round trip, two more if there are any, and one more to each master for every thousand.
// After an error other than [ErrUnconfirmed] some of the sessions may still exist: call
// it again.
//
// If the session of ctx is the user's, it ends too: what is put into it
// afterwards is not saved, and the response removes the cookie. A Login or
// RenewToken that follows in the same request makes a new session, which stays;
// one that came before is ended with the others. To keep the session of ctx use
// [Manager.RevokeOthers], before or after Login or RenewToken. ctx need not be
// that of a request.
func (m *Manager) RevokeAll(ctx context.Context, user string) (int, error) {
	hashes, err := m.index.revoke(ctx, user, "")
	m.state(ctx).revoke(ctx, hashes, true, user)
	return len(hashes), err
}

// RevokeOthers ends all sessions of this session's user but this one, also if
// Login or RenewToken gave it a new token in this request, before or after, and
// returns how many there were. Call it when the user changes the password. It
// is an error without a login. ctx is that of a request inside the Handler.
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
