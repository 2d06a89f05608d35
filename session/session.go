package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	s, err := newStore(rdb, m)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	m.index = newIndex(rdb, m)
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
	switch {
	case err != nil:
		return deadline, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case !time.Now().Before(deadline):
		return deadline, nil, errExpired
	}
	return deadline, values, nil
}

func (c codec) decode(b []byte) (deadline time.Time, values map[string]any, err error) {
	defer func() { // gob has panicked on hostile bytes before
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if values == nil {
			values = map[string]any{}
		}
	}()
	return c.Codec.Decode(b)
}

// state is what a request knows of its session.
type state struct {
	m      *Manager
	parent context.Context // the request's
	tokens []string        // well-formed ones of the cookie

	mu       sync.Mutex
	once     sync.Once
	data     any    // scs' session data, nil while untouched
	err      error  // of the load
	corrupt  bool   // the cookie is to be removed
	client   string // the token that the client has
	renewing bool
	old      []string      // hashes to delete once the new session is saved
	ttl      time.Duration // of the key, when it was loaded
	hash     string        // of the token that was loaded
	saved    *value        // what was just written, to be read back without Redis
	base     *value        // what Redis had when this request read or wrote it

	loading string // the token that is being loaded
	moving  string // the token of a session that is still in scs' own place

	indexed      string // hash of the session that its user's index has
	indexedUntil time.Time
}

type value struct {
	hash  string
	bytes []byte
}

type stateKey struct{ m *Manager }

func (m *Manager) state(ctx context.Context) *state {
	st, _ := ctx.Value(stateKey{m}).(*state)
	return st
}

// lazy is a request's context in which the session is loaded when somebody
// looks for it.
type lazy struct {
	context.Context
	st *state
}

func (c *lazy) Value(key any) any {
	switch key {
	case c.st.m.key:
		return c.st.load()
	case stateKey{c.st.m}:
		return c.st
	}
	return c.Context.Value(key)
}

// load loads the session once and returns scs' data, an empty session's after
// an error.
func (st *state) load() any {
	st.once.Do(func() {
		m := st.m
		ctx := context.WithValue(st.parent, stateKey{m}, st)
		for _, token := range st.tokens {
			st.loading = token
			loaded, err := m.Load(ctx, token)
			switch {
			case errors.Is(err, ErrCorrupt):
				st.drop(ctx, err)
				continue
			case errors.Is(err, errExpired):
				continue
			case err != nil:
				st.empty(err)
				return
			}
			if m.Token(loaded) != "" {
				st.indexed, st.indexedUntil = hashOf(token), m.Deadline(loaded) // as it was saved
				if st.moving != "" {                                            // to be saved in our place
					m.Put(loaded, movedKey, true)
					m.Remove(loaded, movedKey)
				}
				st.set(loaded.Value(m.key), token, nil)
				m.loaded(ctx, true)
				return
			}
		}
		st.empty(nil)
		m.loaded(ctx, false)
	})
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.data
}

// empty begins a new session; err says whether that is for want of Redis.
func (st *state) empty(err error) {
	ctx, _ := st.m.Load(context.Background(), "") // without a token it cannot fail
	st.set(ctx.Value(st.m.key), "", err)
}

func (st *state) set(data any, client string, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.data, st.client, st.err = data, client, err
}

// committed keeps what was just written, as what Redis has and to be read back.
func (st *state) committed(hash string, b []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.saved = &value{hash, b}
	st.base = st.saved
}

// found keeps what was loaded.
func (st *state) found(hash string, b []byte, ttl time.Duration) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.hash, st.ttl, st.base = hash, ttl, &value{hash, b}
}

// read is what Redis had of a session when this request saw it, nil for a new one.
func (st *state) read(hash string) []byte {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.base == nil || st.base.hash != hash {
		return nil
	}
	return st.base.bytes
}

// loadedHash is that of the session that was loaded, "" for none.
func (st *state) loadedHash() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.hash
}

// savedHash is that of the session that was just written.
func (st *state) savedHash() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.saved == nil {
		return ""
	}
	return st.saved.hash
}

// remember keeps what was just written; nil forgets it.
func (st *state) remember(v *value) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.saved = v
}

func (st *state) remembered(hash string) ([]byte, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.saved == nil || st.saved.hash != hash {
		return nil, false
	}
	return st.saved.bytes, true
}

// rotated takes the hash of a session that is being replaced; false if it is not.
func (st *state) rotated(hash string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.renewing {
		st.old = append(st.old, hash)
	}
	return st.renewing
}

// drop forgets a value nobody can read.
func (st *state) drop(ctx context.Context, err error) {
	st.corrupt = true
	st.m.failed(ctx, err)
	if s, ok := st.m.Store.(*store); ok && st.hash != "" {
		if err := s.delete(ctx, st.hash); err != nil {
			st.m.failed(ctx, err)
		}
	}
}

func (st *state) touched() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.data != nil
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
