package session

import (
	"context"
	"time"

	"github.com/alexedwards/scs/v2"
)

// noSession is what a data method panics with when its context has no session:
// a mistake in the program, as with scs.
const noSession = "session: no session in this context: pass the context of a request inside this Manager's Handler, " +
	"r.Context(), or c.Request.Context() with gin and c.Request().Context() with Echo, not the router's own context"

// in returns ctx if it has a session of this Manager, and panics otherwise.
func (m *Manager) in(ctx context.Context) context.Context {
	if ctx == nil || m.state(ctx) == nil {
		panic(noSession) //nolint:forbidigo // as scs does: a mistake in the program
	}
	return ctx
}

// Put sets a key to a value, in memory; the [Manager.Handler] saves it with the
// response. Putting what is there already writes nothing to Redis. Types other
// than string, []byte, bool, int, int32, int64, float64 and time.Time need
// gob.Register, or a [Key]; a type that cannot be encoded gets 500 and
// [ErrEncode] when the session is saved. Keys that begin with two underscores
// are this package's.
//
// Like all data methods, Put takes the request's context, r.Context(), and
// panics if that has no session of this Manager. With gin pass
// c.Request.Context(): a *gin.Context has a session only with
// ContextWithFallback.
//
// While Redis is unavailable the data methods find an empty session, and the
// Handler refuses the request afterwards, see [WithFailureMode].
func (m *Manager) Put(ctx context.Context, key string, val any) { m.scs.Put(m.in(ctx), key, val) }

// Get returns the value of a key, nil if there is none. A map or a pointer's
// value that is changed in place is saved as well.
func (m *Manager) Get(ctx context.Context, key string) any { return m.scs.Get(m.in(ctx), key) }

// GetString returns a string, "" if the key has none. Like all typed getters it
// returns the zero value for a value of another type; use [Manager.Exists] to
// tell an absent key from a zero value.
func (m *Manager) GetString(ctx context.Context, key string) string {
	return m.scs.GetString(m.in(ctx), key)
}

// GetBool returns a bool, false if the key has none.
func (m *Manager) GetBool(ctx context.Context, key string) bool {
	return m.scs.GetBool(m.in(ctx), key)
}

// GetInt returns an int, 0 if the key has none. There is no conversion: a value
// that was put as int64 needs GetInt64.
func (m *Manager) GetInt(ctx context.Context, key string) int { return m.scs.GetInt(m.in(ctx), key) }

// GetInt32 returns an int32, 0 if the key has none.
func (m *Manager) GetInt32(ctx context.Context, key string) int32 {
	return m.scs.GetInt32(m.in(ctx), key)
}

// GetInt64 returns an int64, 0 if the key has none.
func (m *Manager) GetInt64(ctx context.Context, key string) int64 {
	return m.scs.GetInt64(m.in(ctx), key)
}

// GetFloat returns a float64, 0 if the key has none.
func (m *Manager) GetFloat(ctx context.Context, key string) float64 {
	return m.scs.GetFloat(m.in(ctx), key)
}

// GetBytes returns a []byte, nil if the key has none.
func (m *Manager) GetBytes(ctx context.Context, key string) []byte {
	return m.scs.GetBytes(m.in(ctx), key)
}

// GetTime returns a time, the zero time if the key has none.
func (m *Manager) GetTime(ctx context.Context, key string) time.Time {
	return m.scs.GetTime(m.in(ctx), key)
}

// Pop returns the value of a key and removes it, nil if there is none. Use it
// for values that are read once, such as the state of an OAuth login. Two
// concurrent requests may both get the value.
func (m *Manager) Pop(ctx context.Context, key string) any { return m.scs.Pop(m.in(ctx), key) }

// PopString is GetString, and removes the key.
func (m *Manager) PopString(ctx context.Context, key string) string {
	return m.scs.PopString(m.in(ctx), key)
}

// PopBool is GetBool, and removes the key.
func (m *Manager) PopBool(ctx context.Context, key string) bool {
	return m.scs.PopBool(m.in(ctx), key)
}

// PopInt is GetInt, and removes the key.
func (m *Manager) PopInt(ctx context.Context, key string) int { return m.scs.PopInt(m.in(ctx), key) }

// PopFloat is GetFloat, and removes the key.
func (m *Manager) PopFloat(ctx context.Context, key string) float64 {
	return m.scs.PopFloat(m.in(ctx), key)
}

// PopBytes is GetBytes, and removes the key.
func (m *Manager) PopBytes(ctx context.Context, key string) []byte {
	return m.scs.PopBytes(m.in(ctx), key)
}

// PopTime is GetTime, and removes the key.
func (m *Manager) PopTime(ctx context.Context, key string) time.Time {
	return m.scs.PopTime(m.in(ctx), key)
}

// Remove removes a key. A key without a value changes nothing, and nothing is
// saved.
func (m *Manager) Remove(ctx context.Context, key string) { m.scs.Remove(m.in(ctx), key) }

// Clear removes all keys, the user of [Manager.Login] among them. The session
// and its token stay; to end it use [Manager.Destroy]. The error is always nil;
// scs' signature has it.
func (m *Manager) Clear(ctx context.Context) error { return m.scs.Clear(m.in(ctx)) }

// Exists reports whether a key has a value.
func (m *Manager) Exists(ctx context.Context, key string) bool { return m.scs.Exists(m.in(ctx), key) }

// Keys returns all keys, sorted. Those of this package begin with two
// underscores.
func (m *Manager) Keys(ctx context.Context) []string { return m.scs.Keys(m.in(ctx)) }

// Status reports whether this request has changed or destroyed the session:
// scs.Unmodified, scs.Modified or scs.Destroyed. A map that was changed in
// place shows only when the session is saved.
func (m *Manager) Status(ctx context.Context) scs.Status { return m.scs.Status(m.in(ctx)) }

// Token returns the session's token, "" for a new one that is not saved yet.
// It opens the session: do not log it or send it anywhere but in the cookie.
// [Manager.RequestKey] and [Device] name a session safely.
func (m *Manager) Token(ctx context.Context) string { return m.scs.Token(m.in(ctx)) }

// Deadline returns when the session ends, however much it is used:
// [WithLifetime] after it was created, or what [Manager.SetDeadline] has set.
func (m *Manager) Deadline(ctx context.Context) time.Time { return m.scs.Deadline(m.in(ctx)) }

// SetDeadline sets when the session ends, however much it is used, beyond
// [WithLifetime] too. Login and RenewToken set it to the lifetime again. A time
// that is not in the future ends the session as [Manager.Destroy] does. A
// session that is not used ends after [WithIdleTimeout], unless
// [Manager.RememberMe] is on.
func (m *Manager) SetDeadline(ctx context.Context, expire time.Time) {
	m.scs.SetDeadline(m.in(ctx), expire)
}

// RememberMe sets whether the session is kept until its deadline, across
// restarts of the browser and however seldom it is used: the cookie then gets
// Max-Age, and [WithIdleTimeout] does not apply. The default of each session is
// false. For more than [WithLifetime], call [Manager.SetDeadline] as well,
// after Login.
func (m *Manager) RememberMe(ctx context.Context, val bool) { m.scs.RememberMe(m.in(ctx), val) }

// Commit saves now what was changed, before the handler returns, and returns
// the token and the deadline. The response still sets the cookie by itself.
// Without a change it does nothing. Use it in code that must know that the
// session is saved, for example before an e-mail with a link is sent, and in
// [Manager.Iterate].
//
// The error is that of the load or of the save: it matches [ErrUnavailable],
// [ErrRefused], [ErrGone], [ErrConflict], [ErrTooLarge] or [ErrEncode].
func (m *Manager) Commit(ctx context.Context) (token string, expiry time.Time, err error) {
	st := m.state(m.in(ctx))
	st.load()
	if st.loadErr != nil {
		return "", time.Time{}, st.loadErr
	}
	if token = m.Token(ctx); st.status(ctx) == scs.Modified {
		token, err = st.commit(ctx)
	}
	if err != nil {
		return "", time.Time{}, err
	}
	return token, m.Deadline(ctx), nil
}

// MergeSession copies the values of another session, whose token the
// application has kept, into this one, and deletes the other: for logins by way
// of another site, from which the browser returns without its cookie. Of a key
// in both, the other session's value wins; of the deadlines, the later one. A
// token that no session has changes nothing, and neither does this session's
// own. Errors are as for [Manager.Commit].
func (m *Manager) MergeSession(ctx context.Context, token string) error {
	st := m.state(m.in(ctx))
	st.load()
	if st.loadErr != nil {
		return st.loadErr
	}
	if !wellFormed(token) {
		return nil
	}
	return st.merge(ctx, token)
}
