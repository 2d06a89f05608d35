package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/internal/problem"
	"github.com/redishttp/redishttp/internal/respw"
)

// Handler gives each request its session: loaded when it is first used, saved
// once before the final header goes out (also for Flush, Hijack and 101), and
// again when the handler returns if it was changed since. A request that does
// not use its session costs nothing.
//
// A request whose session cannot be loaded or saved gets 503 with Retry-After
// in place of the handler's response, or 500 if retrying cannot help; see
// [WithFailureMode], [WithDenyHandler] and [Manager.Require]. After a panic
// nothing is saved.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := newState(r.Context(), m, m.tokens(r))
		ctx := &st.ctx
		var outer http.Header // what a refusal goes back to
		if h := w.Header(); len(h) > 0 {
			outer = h.Clone()
		}
		b, rw := respw.Wrap(w, respw.Hooks{Header: func(int) bool {
			if !st.touched() {
				return true
			}
			if err := st.save(ctx, w.Header()); err != nil {
				m.refuse(w, r, outer, err)
				return false
			}
			return true
		}})
		next.ServeHTTP(rw, r.WithContext(ctx))
		b.Finish()
		if b.Status() != 0 && st.touched() {
			varyByCookie(w.Header()) // too late for the client; an outer cache sees it
			st.saveLate(ctx)
		}
	})
}

// LoadAndSave is [Manager.Handler], by the name that it has in scs.
func (m *Manager) LoadAndSave(next http.Handler) http.Handler { return m.Handler(next) }

// Require loads the session before next runs, and refuses the request as Handler
// does if it cannot be loaded, also with [FailAnonymous]. Use it inside Handler,
// for routes that must not run without a session.
func (m *Manager) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := m.state(r.Context())
		if st == nil {
			m.logger.LogAttrs(r.Context(), slog.LevelError, "a handler of Require is not inside Handler")
			problem.Of(http.StatusInternalServerError, "").Write(w, r)
			return
		}
		st.load()
		if st.err != nil {
			m.refuse(w, r, w.Header().Clone(), st.err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// save writes the session and its cookie before the header goes out.
func (st *state) save(ctx context.Context, h http.Header) error {
	m := st.m
	varyByCookie(h)
	if st.err != nil {
		if m.failureMode != FailAnonymous || errors.Is(st.err, ErrRefused) || m.Status(ctx) != scs.Unmodified {
			return st.err
		}
		m.failed(ctx, st.err)
		noStore(h)
		return nil
	}
	status := st.status(ctx)
	if st.hasEnded(ctx, status) {
		if err := st.end(ctx); err != nil {
			return err
		}
		m.removeCookie(h)
		st.replaceData(ctx, "")
		return nil
	}
	switch status {
	case scs.Modified:
		token, err := st.commit(ctx)
		switch {
		case st.followed:
			if err != nil && !m.rejectGone {
				m.failed(ctx, err)
				err = nil
			}
			return err
		case err == nil && st.skipped && token == st.client && !st.stale:
			st.touch(ctx)
			return nil
		case errors.Is(err, ErrGone) && !m.rejectGone:
			m.failed(ctx, err)
			m.removeCookie(h)
			st.replaceData(ctx, "")
			return nil
		case err != nil:
			return err
		}
		st.replaceData(ctx, token) // others' changes are in it by now, the deadline and RememberMe too
		m.setCookie(ctx, h, token)
		st.stale = false
	case scs.Destroyed:
		m.removeCookie(h)
		st.replaceData(ctx, "")
	default:
		if st.corrupt {
			m.removeCookie(h)
		}
		st.touch(ctx)
	}
	return nil
}

// commit saves, then deletes what a rotation replaced.
func (st *state) commit(ctx context.Context) (string, error) {
	m := st.m
	st.mu.Lock()
	base := st.base
	st.mu.Unlock()
	at, user := st.inRedis()
	st.stale = st.stale || st.staleCookie(ctx)
	token, err := st.enterAndSave(ctx)
	for tries := 0; errors.Is(err, ErrGone) && tries < 3 && st.spared(ctx, base); tries++ {
		token, err = st.enterAndSave(ctx)
	}
	if err != nil {
		return "", err
	}
	if st.skipped {
		return token, nil
	}
	st.moved(ctx)
	if m.hooks.Saved != nil {
		m.hooks.Saved(ctx)
	}
	st.mu.Lock()
	old, created := st.old, token != st.client
	logout := !st.login && !slices.Contains(st.revoked, at) // that the old one is gone
	st.old = nil
	st.mu.Unlock()
	// Of several rotations only the first replaces what is in Redis.
	rotated := len(old) > 0 && base != nil && old[0] == base.hash
	if !rotated && user != m.User(ctx) {
		st.left(ctx, user, at)
	}
	if rotated {
		gone, err := st.retire(ctx, base, st.savedHash())
		if err == nil {
			st.left(ctx, user, at)
		}
		switch {
		case err != nil:
			m.failed(ctx, err)
		case gone && logout:
			// Logged out while it was being rotated: the new one must not
			// outlive it.
			made := st.savedHash()
			if err := errors.Join(m.store.delete(ctx, made), st.leave(ctx, m.User(ctx), made)); err != nil {
				return "", err
			}
			return "", ErrGone
		}
	}
	switch {
	case len(old) > 0:
		m.event(ctx, eventRotated, st.savedHash())
	case created:
		m.event(ctx, eventCreated, st.savedHash())
	}
	return token, nil
}

// enterAndSave saves, and enters the session into its user's index before.
func (st *state) enterAndSave(ctx context.Context) (string, error) {
	left, err := st.entered(ctx)
	if err != nil {
		return "", err
	}
	token, _, err := st.m.scs.Commit(ctx)
	if err != nil {
		return "", errors.Join(err, st.neverSaved(ctx, err))
	}
	return token, left()
}

// neverSaved takes a new session out of the index that could not be saved, so
// that it counts for no [WithMaxSessions]. In an outage the entry is left: it
// names nothing.
func (st *state) neverSaved(ctx context.Context, err error) error {
	hash := st.hashOf(st.m.Token(ctx))
	if errors.Is(err, ErrUnavailable) || st.read(hash) != nil {
		return nil
	}
	return st.leave(ctx, st.m.User(ctx), hash)
}

// spared reports whether a rotation that failed because sessions of the user
// were revoked may be tried again: another request's RevokeOthers has kept the
// session that it is of.
func (st *state) spared(ctx context.Context, base *value) bool {
	st.mu.Lock()
	renewed := base != nil && len(st.old) > 0 && st.old[0] == base.hash && !st.login
	if renewed {
		st.saved, st.base = nil, base
	}
	st.mu.Unlock()
	if !renewed {
		return false
	}
	_, found, err := st.m.store.peek(ctx, base.hash)
	return err == nil && found
}

// replaceData replaces scs' data by what was just saved, as unmodified, so that a
// later change shows. It costs no round trip: the store remembers the bytes.
func (st *state) replaceData(ctx context.Context, token string) {
	loaded, err := st.m.scs.Load(&st.plain, token)
	if err != nil {
		return // a value that cannot be read back is saved again at return
	}
	st.set(loaded.Value(st.m.key), token, nil)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.own = own{}
}

// saveLate writes what was changed after the header went out. What would need
// a cookie is lost, and said to be.
func (st *state) saveLate(ctx context.Context) {
	m := st.m
	if st.err != nil {
		if m.Status(ctx) != scs.Unmodified {
			m.failed(ctx, st.err)
		}
		return
	}
	status := st.status(ctx)
	if st.hasEnded(ctx, status) {
		if err := st.end(ctx); err != nil {
			m.failed(ctx, err)
		}
		m.failed(ctx, ErrHeadersSent) // as for Destroyed
		return
	}
	switch status {
	case scs.Unmodified:
	case scs.Modified:
		if token := m.Token(ctx); token == "" || token != st.client {
			m.failed(ctx, ErrHeadersSent)
			return
		}
		if _, err := st.commit(ctx); err != nil {
			m.failed(ctx, err)
		} else if st.stale {
			m.failed(ctx, ErrHeadersSent)
		}
	case scs.Destroyed:
		m.failed(ctx, ErrHeadersSent) // it is gone from Redis; the cookie stays and is worth nothing
	}
}
