package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// Errors that reach [Hooks] or a caller.
var (
	// ErrUnavailable is a Redis that does not answer.
	ErrUnavailable = errors.New("session: redis is unavailable")
	// ErrHeadersSent is a change that needs a cookie after the header went out.
	ErrHeadersSent = errors.New("session: the header was sent, the cookie cannot be changed")
	// ErrCorrupt is a stored value that cannot be decoded; the session was
	// dropped and a new one begun.
	ErrCorrupt = errors.New("session: the stored value cannot be decoded")
	// ErrTooLarge is a session above [WithMaxSize]; the old value was kept.
	ErrTooLarge = errors.New("session: too large")

	// ErrGone is the save of a session that was logged out or has expired since
	// it was loaded. Nothing was written; the client loses its cookie.
	ErrGone = errors.New("session: it is gone since it was loaded")
	// ErrConflict is a session that others changed again and again while it was
	// saved. Nothing was written.
	ErrConflict = errors.New("session: changed by too many requests at once")

	errExpired = errors.New("session: past its deadline")
)

// Manager keeps sessions. Its data methods (Put, GetString, Pop, RememberMe …)
// are those of scs.SessionManager and take the request's context. The fields of the embedded manager
// are set by New and must not be changed. It is safe for concurrent use.
type Manager struct {
	*scs.SessionManager
	config
	key   any // under which scs looks for its data in a context
	store *store
	index *index
}

// New returns a Manager that keeps sessions in rdb. It does not dial; all
// mistakes are reported at once, as joined [*OptionError]. Make one and keep
// it: scs starts a goroutine for the memory store that it makes by default and that is
// replaced here, which wakes once a minute and cannot be stopped without a race.
func New(rdb redis.UniversalClient, opts ...Option) (*Manager, error) {
	m := &Manager{SessionManager: scs.New(), config: defaults()}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&m.config)
		}
	}
	if bounded.IsNil(rdb) {
		return nil, errors.Join(&OptionError{Option: "rdb", Reason: "is nil"}, m.settle(nil))
	}
	if err := m.settle(rdb); err != nil {
		return nil, err
	}
	if m.insecure {
		m.logger.Warn("the session cookie is sent over plain HTTP")
	}
	if !bounded.New(rdb).HonorsDeadlines() {
		m.logger.Warn("the redis client ignores deadlines: set ContextTimeoutEnabled, each call costs a goroutine meanwhile")
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
	m.SessionManager.Store = s
	m.SessionManager.Codec = codec{m.codec}
	m.SessionManager.Lifetime = m.lifetime
	m.SessionManager.IdleTimeout = 0 // ours: scs' would write every session that is read
	m.SessionManager.HashTokenInStore = true
	if m.key, err = learnKey(m.SessionManager); err != nil {
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

// RenewToken gives the session a new token: call it at every change of rights.
// Unlike scs', it keeps the old session until the new one is saved, so that a failure logs
// nobody out.
func (m *Manager) RenewToken(ctx context.Context) error {
	st := m.state(ctx)
	if st == nil {
		return m.SessionManager.RenewToken(ctx)
	}
	st.mu.Lock()
	st.renewing = true
	st.mu.Unlock()
	err := m.SessionManager.RenewToken(ctx)
	st.mu.Lock()
	st.renewing = false
	st.mu.Unlock()
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

func (m *Manager) failed(ctx context.Context, err error) {
	if m.hooks.Failed != nil {
		m.hooks.Failed(ctx, err)
	}
}
