package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/internal/personal"
	"github.com/redishttp/redishttp/internal/prefetch"
)

// This file holds everything that relies on how scs works inside. scs keeps the
// data of a session, its deadline and its status; loading, saving and the cookie
// are this package's. Each trick is one function or type here:
//
//   - learnKey: scs keeps its data under an unexported context key, which a
//     context finds out by being asked for it;
//   - lazy: a context that loads the session when scs asks for that key, so that a
//     request that does not use its session costs no command;
//   - plain: the context that scs hands to the store, which must not load again;
//   - steer: scs' own idle timeout is off, because it writes every session that is
//     read;
//   - RenewToken, rotated: scs deletes the old session before the new one is saved,
//     so that deletion is held back until then;
//   - checkedCodec: scs decodes the deadline and does not check it;
//   - markModified: scs saves only what it has seen change;
//   - reset: scs has no way to mark its data unmodified after a save but to load it
//     again, which the store serves from memory;
//   - hashOf: the store hashes tokens, not scs; Iterate has only the hash.

// steer gives scs this package's store and codec, in place of the memory store that
// scs.New makes, and checks that this version of scs can be used so.
func (m *Manager) steer() (err error) {
	m.scs.Store = m.store
	m.scs.Codec = m.codec
	m.scs.Lifetime = m.lifetime
	m.scs.IdleTimeout = 0 // scs' would write every session that is read; touch renews instead
	m.key, err = learnKey(m.scs)
	return err
}

// learnKey finds the unexported context key of scs' data: it has scs load a new
// session in a context that records the first key it is asked for.
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

// watcher is a context that records the first key it is asked for.
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

// stateKey is the context key of a Manager's state: each Manager has its own,
// so that their Handlers can be nested.
type stateKey struct{ m *Manager }

// state returns what a request knows of its session, nil outside of this
// Manager's Handler.
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
	case prefetch.Key{}:
		if c.st.batch.Sent() {
			return c.st.batch
		}
	case prefetch.RunKey{}:
		return c.st.run.In(c.Context)
	}
	return c.Context.Value(key)
}

// plain is a request's context for the store, in which nothing is loaded.
type plain struct {
	context.Context
	st *state
}

func (c *plain) Value(key any) any {
	switch {
	case key == (stateKey{c.st.m}):
		return c.st
	case key == (prefetch.Key{}) && c.st.batch.Sent():
		return c.st.batch
	}
	return c.Context.Value(key)
}

// The keys that scs and its tricks use in a session.
const (
	rememberKey = "__rememberMe" // scs' own, for RememberMe
	markKey     = "__moved"      // set and removed again by markModified
)

// markModified has scs save a session that was only read.
func (m *Manager) markModified(ctx context.Context) {
	m.scs.Put(ctx, markKey, true)
	m.scs.Remove(ctx, markKey)
}

// empty starts a new session. err is why the stored one could not be loaded, nil if
// there is none.
func (st *state) empty(err error) {
	ctx, _ := st.m.scs.Load(context.Background(), "") // without a token it cannot fail
	st.set(ctx.Value(st.m.key), "", err)
}

// reset replaces scs' data by what was just saved, as unmodified, so that a
// later change shows. It costs no round trip: the store remembers the bytes.
func (st *state) reset(ctx context.Context, token string) {
	loaded, err := st.m.scs.Load(&st.plain, token)
	if err != nil {
		return // a value that cannot be read back is saved again at return
	}
	st.set(loaded.Value(st.m.key), token, nil)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.own = own{}
}

// RenewToken gives the session a new token, against session fixation, and a
// deadline of [WithLifetime] from now. Call it on every privilege change;
// [Manager.Login] does so itself. Values, the user among them, stay. It takes
// effect when the session is saved. Unlike scs', it keeps the old session until
// the new one is saved, so that a failure logs no user out.
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
		st.fate = alive // the response sets the new cookie
	}
	return err
}

// rotated reports whether scs deletes the session of hash because RenewToken
// replaces it. The hash is then kept until the new session is saved.
func (st *state) rotated(hash string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.renewing {
		st.replaced = append(st.replaced, hash)
	}
	return st.renewing
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

// hashOf returns the hash under which Redis has the session of a token. Iterate
// passes the hash itself for a token, since it knows no other.
func (st *state) hashOf(token string) string {
	if st != nil && st.visited != "" && token == st.visited {
		return token
	}
	return hashOf(token)
}

// Find, Commit and Delete are for callers without a context, as scs.Store
// requires.
func (s *store) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

func (s *store) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

func (s *store) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
