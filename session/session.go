package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// Errors that reach [Hooks] or a caller.
var (
	// ErrUnavailable is returned when Redis does not answer in time, or replies
	// that it cannot serve the command now. It is the ErrUnavailable of all packages
	// of this module. The client gets 503 with Retry-After.
	ErrUnavailable = unavailable.Err
	// ErrHeadersSent is reported for a change that needs a cookie after the header
	// was sent. A change of the cookie's end, by RememberMe or SetDeadline, is saved
	// all the same.
	ErrHeadersSent = errors.New("session: the header was sent, the cookie cannot be changed")
	// ErrCorrupt is reported for a stored value that cannot be decoded. The session
	// was deleted and the request has a new one.
	ErrCorrupt = errors.New("session: the stored value cannot be decoded")
	// ErrTooLarge is returned when saving a session above [WithMaxSize]. The old
	// value was kept. The client gets 500.
	ErrTooLarge = errors.New("session: too large")

	// ErrGone is returned when saving a session that was logged out or has
	// expired since it was loaded. Nothing was written; the client loses its
	// cookie, unless a login has replaced it.
	ErrGone = errors.New("session: no longer exists")
	// ErrConflict is returned when other requests kept changing the session until
	// the time for saving was over. Nothing was written. The client gets 409.
	ErrConflict = errors.New("session: changed by too many requests at once")

	// ErrEncode is returned when saving a session with a value that its codec
	// cannot encode: a channel, or a type that gob does not know. Nothing was
	// written; the old value was kept. The client gets 500.
	ErrEncode = errors.New("session: a value cannot be encoded")
	// ErrRefused is returned when Redis replies with an error that waiting does
	// not change, such as a missing ACL right. The client gets 500.
	ErrRefused = errors.New("redis refuses the command")
	// ErrClock is reported when a session is past its deadline by this machine's
	// clock, although Redis would keep it: the clocks of the machines differ by
	// more than the session's life. The session is not used.
	ErrClock = errors.New("session: the clock of this machine, or of the one that saved the session, is wrong")

	errExpired = errors.New("session: past its deadline")
)

// Manager keeps sessions. Its data methods (Put, GetString, Pop, RememberMe …)
// have the names and signatures of scs.SessionManager's and take the request's
// context. It is safe for concurrent use.
type Manager struct {
	scs *scs.SessionManager
	config
	failures failures
	key      any // under which scs looks for its data in a context
	store    *store
	index    *index
}

// New returns a Manager that keeps sessions in rdb. It does not dial; all
// mistakes are reported at once, as joined [*OptionError]. Create one and
// reuse it: scs starts a goroutine for the memory store that it makes by default and that is
// replaced here, which wakes once a minute and cannot be stopped without a race.
func New(rdb redis.UniversalClient, opts ...Option) (*Manager, error) {
	m := &Manager{scs: scs.New(), config: defaults()}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&m.config)
		}
	}
	if err := m.complete(rdb); err != nil {
		return nil, err
	}
	if !m.cookie.Secure {
		m.logger.Warn("the session cookie is sent over plain HTTP")
	}
	if len(m.sealKeys) > 0 {
		var err error
		if m.seal, err = newSealer(m.sealKeys, m.readPlain); err != nil {
			return nil, fmt.Errorf("session: WithEncryption: %w", err)
		}
	}
	s, err := newStore(rdb, m)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	m.store, m.index = s, newIndex(rdb, m)
	m.scs.Store = s
	m.scs.Codec = codec{m.codec}
	m.scs.Lifetime = m.lifetime
	m.scs.IdleTimeout = 0 // ours: scs' would write every session that is read
	m.scs.HashTokenInStore = true
	if m.key, err = learnKey(m.scs); err != nil {
		return nil, err
	}
	return m, nil
}

// learnKey finds the unexported key under which scs looks for its data, by
// asking it to and watching.
func learnKey(sm *scs.SessionManager) (any, error) {
	w := &watcher{Context: context.Background()}
	ctx, err := sm.Load(w, "")
	if err != nil {
		return nil, fmt.Errorf("session: this version of scs is not supported: %w", err)
	}
	if w.first == nil || ctx.Value(w.first) == nil {
		return nil, errors.New("session: this version of scs is not supported: it does not keep its data in the context")
	}
	return w.first, nil
}

type watcher struct {
	context.Context
	first any
}

func (w *watcher) Value(key any) any {
	if w.first == nil {
		w.first = key
	}
	return w.Context.Value(key)
}

// RenewToken gives the session a new token: call it on every privilege change.
// Unlike scs', it keeps the old session until the new one is saved, so that a
// failure logs no user out.
func (m *Manager) RenewToken(ctx context.Context) error {
	st := m.state(m.in(ctx))
	st.load()
	st.mu.Lock()
	st.renewing = true
	st.mu.Unlock()
	err := m.scs.RenewToken(ctx)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.renewing = false
	if err == nil {
		st.ended = false
	}
	return err
}

// codec refuses sessions past their absolute deadline, which scs decodes but
// never looks at, and marks values that cannot be decoded.
type codec struct{ scs.Codec }

func (c codec) Decode(b []byte) (deadline time.Time, values map[string]any, err error) {
	deadline, values, err = c.decode(b)
	if err == nil && !time.Now().Before(deadline) {
		return deadline, nil, errExpired
	}
	return deadline, values, err
}

// Encode marks what cannot be encoded.
func (c codec) Encode(deadline time.Time, values map[string]any) (b []byte, err error) {
	defer func() { // gob panics on some types
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrEncode, err)
		}
	}()
	return c.Codec.Encode(deadline, values)
}

// decode does not look at the deadline.
func (c codec) decode(b []byte) (deadline time.Time, values map[string]any, err error) {
	defer func() { // gob has panicked on hostile bytes before
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if values == nil {
			values = map[string]any{}
		}
	}()
	return c.Codec.Decode(b)
}

func (m *Manager) loaded(ctx context.Context, found bool) {
	if m.hooks.Loaded != nil {
		m.hooks.Loaded(ctx, found)
	}
}
