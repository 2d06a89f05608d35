package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/personal"
)

// state is what a request knows of its session.
type state struct {
	m      *Manager
	ctx    lazy     // what handlers get
	plain  plain    // what the store gets
	tokens []string // well-formed ones of the cookie

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

	own
	unreadable string      // the hash of a session under a key that is not configured
	aside      atomic.Bool // a store call is about another session

	// stored is the hash of a session that is visited without its token, in
	// place of the hash of what stands for its token.
	stored  string
	skipped bool // the last commit found nothing that was changed
	stale   bool // a commit changed when the client's cookie is to end
}

// value is an encoded session.
type value struct {
	hash   string
	bytes  []byte
	stored []byte // as Redis has it: bytes, or bytes encrypted
}

type stateKey struct{ m *Manager }

func (m *Manager) state(ctx context.Context) *state {
	st, _ := ctx.Value(stateKey{m}).(*state)
	return st
}

// lazy is a request's context in which the session is loaded when a handler
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
	case personal.Key{}:
		return c.st
	}
	return c.Context.Value(key)
}

// plain is a request's context for the store, in which nothing is loaded.
type plain struct {
	context.Context
	st *state
}

func (c *plain) Value(key any) any {
	if key == (stateKey{c.st.m}) {
		return c.st
	}
	return c.Context.Value(key)
}

// newState returns a state and its two contexts in one piece.
func newState(parent context.Context, m *Manager, tokens []string) *state {
	st := &state{m: m, tokens: tokens}
	st.ctx, st.plain = lazy{parent, st}, plain{parent, st}
	return st
}

// load loads the session once and returns scs' data, an empty session's after
// an error.
func (st *state) load() any {
	st.once.Do(func() {
		m := st.m
		ctx := &st.plain
		for _, token := range st.tokens {
			st.loading = token
			loaded, err := m.scs.Load(ctx, token)
			switch {
			case errors.Is(err, ErrCorrupt):
				st.drop(ctx, err)
				continue
			case errors.Is(err, ErrUnknownKey):
				m.failed(ctx, err) // it stays in Redis, for instances that have the key
				st.unreadable = st.hash
				continue
			case errors.Is(err, errExpired):
				if st.ttl > skewToReport {
					m.failed(ctx, fmt.Errorf("%w: redis would keep it for another %v", errClock, st.ttl.Round(time.Second)))
				}
				continue
			case err != nil:
				st.empty(err)
				return
			}
			if m.Token(loaded) != "" {
				if st.moving != "" { // to be saved in our place
					m.Put(loaded, movedKey, true)
					m.Remove(loaded, movedKey)
				}
				st.set(loaded.Value(m.key), token, nil)
				m.loaded(ctx, true)
				return
			}
			if m.hooks.Event != nil {
				m.event(ctx, eventUnknown, hashOf(token))
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
	ctx, _ := st.m.scs.Load(context.Background(), "") // without a token it cannot fail
	st.set(ctx.Value(st.m.key), "", err)
}

func (st *state) set(data any, client string, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.data, st.client, st.err = data, client, err
}

// committed keeps what was just written, as what Redis has and to be read back.
func (st *state) committed(v *value) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.saved, st.base = v, v
}

// found keeps what was loaded, nil if it cannot be read.
func (st *state) found(hash string, v *value, ttl time.Duration) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.hash, st.ttl, st.base = hash, ttl, v
}

// read is what Redis had of a session when this request saw it, nil for a new one.
func (st *state) read(hash string) *value {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.base == nil || st.base.hash != hash {
		return nil
	}
	return st.base
}

// hash is where the session of a token is.
func (st *state) hashOf(token string) string {
	if st != nil && st.stored != "" && token == st.stored {
		return token
	}
	return hashOf(token)
}

// at is where the session is that scs looks for under this hash.
func (st *state) at(hash string) string {
	if st != nil && st.stored != "" && hash == hashOf(st.stored) {
		return st.stored
	}
	return hash
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

// doomed is where the session that is being destroyed is in Redis: until a
// rotation is saved, under the hash before it.
func (st *state) doomed(hash string) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.old) > 0 && st.base != nil {
		return st.base.hash
	}
	return hash
}

// destroyed forgets the session that was destroyed.
func (st *state) destroyed() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.saved, st.base, st.old, st.own = nil, nil, nil, own{revoked: st.revoked}
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

// drop forgets a value that cannot be read.
func (st *state) drop(ctx context.Context, err error) {
	st.corrupt = true
	st.m.failed(ctx, err)
	if st.hash != "" {
		if err := st.m.store.delete(ctx, st.hash); err != nil {
			st.m.failed(ctx, err)
		}
	}
}

// HasReadClient tells an inner cache that the response may be about this client.
func (st *state) HasReadClient() bool { return st.touched() || personal.Touched(st.ctx.Context) }

func (st *state) touched() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.data != nil
}
