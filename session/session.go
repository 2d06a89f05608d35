package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
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
	m.scs.Codec = m.codec
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

// checkedCodec refuses sessions past their absolute deadline, which scs decodes but
// never looks at, and marks values that cannot be decoded.
type checkedCodec struct{ scs.Codec }

func (c checkedCodec) Decode(b []byte) (deadline time.Time, values map[string]any, err error) {
	deadline, values, err = c.decode(b)
	if err == nil && !time.Now().Before(deadline) {
		return deadline, nil, errExpired
	}
	return deadline, values, err
}

// Encode marks what cannot be encoded.
func (c checkedCodec) Encode(deadline time.Time, values map[string]any) (b []byte, err error) {
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
func (c checkedCodec) decode(b []byte) (deadline time.Time, values map[string]any, err error) {
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
