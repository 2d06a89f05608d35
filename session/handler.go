package session

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/internal/respw"
)

// Handler gives each request its session: loaded when it is first used, saved
// once before the final header goes out (also for Flush, Hijack and 101), and
// again at return if it was changed since. A request that does not use its
// session costs nothing.
//
// A session that cannot be loaded or saved is answered 503 with Retry-After,
// in place of whatever the handler wrote; see [WithFailAnonymous] and
// [Manager.Require]. After a panic nothing is saved.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := newState(m, r.Context(), m.tokens(r))
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
				m.refuse(ctx, w, outer, err)
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

// LoadAndSave is Handler, so that code written for scs moves over.
func (m *Manager) LoadAndSave(next http.Handler) http.Handler { return m.Handler(next) }

// Require loads the session before next runs and answers 503 if it cannot be
// loaded, for routes that must not run as anonymous. It stands inside Handler.
func (m *Manager) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := m.state(r.Context())
		if st == nil {
			m.logger.LogAttrs(r.Context(), slog.LevelError, "require stands outside of handler")
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		st.load()
		if st.err != nil {
			m.refuse(r.Context(), w, w.Header().Clone(), st.err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers in place of the handler, whose headers go with its body.
func (m *Manager) refuse(ctx context.Context, w http.ResponseWriter, outer http.Header, err error) {
	m.failed(ctx, err)
	h := w.Header()
	clear(h)
	maps.Copy(h, outer)
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, ErrTooLarge):
		status = http.StatusInternalServerError // waiting will not help
	case errors.Is(err, ErrConflict):
		status = http.StatusConflict
		h.Set("Retry-After", "1")
	case errors.Is(err, ErrGone):
		status = http.StatusUnauthorized
		m.removeCookie(h)
	default:
		h.Set("Retry-After", "1")
	}
	h.Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}

// save writes the session and its cookie before the header goes out.
func (st *state) save(ctx context.Context, h http.Header) error {
	m := st.m
	varyByCookie(h)
	if st.err != nil {
		if !m.failAnonymous || m.Status(ctx) != scs.Unmodified {
			return st.err
		}
		m.failed(ctx, st.err)
		noStore(h)
		return nil
	}
	switch st.status(ctx) {
	case scs.Modified:
		token, err := st.commit(ctx)
		switch {
		case err == nil && st.skipped && token == st.client:
			st.touch(ctx)
			return nil
		case errors.Is(err, ErrGone) && !m.rejectGone:
			m.failed(ctx, err)
			m.removeCookie(h)
			st.settle(ctx, "")
			return nil
		case err != nil:
			return err
		}
		m.setCookie(ctx, h, token)
		st.settle(ctx, token)
	case scs.Destroyed:
		m.removeCookie(h)
		st.settle(ctx, "")
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
	left, err := st.entered(ctx)
	if err != nil {
		return "", err
	}
	token, _, err := m.Commit(ctx)
	if err != nil {
		return "", err
	}
	if err := left(); err != nil {
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
	st.old = nil
	st.mu.Unlock()
	for _, hash := range old {
		was, err := m.store.deleted(ctx, hash)
		switch {
		case err != nil:
			m.failed(ctx, err)
		case !was && hash == st.loadedHash():
			// Logged out while it was being rotated: the new one must not
			// outlive it.
			if err := m.store.delete(ctx, st.savedHash()); err != nil {
				return "", err
			}
			return "", ErrGone
		}
	}
	switch {
	case len(old) > 0:
		m.event(ctx, Rotated, st.savedHash())
	case created:
		m.event(ctx, Created, st.savedHash())
	}
	return token, nil
}

// settle replaces scs' data by what was just saved, as unmodified, so that a
// later change shows. It costs no round trip: the store remembers the bytes.
func (st *state) settle(ctx context.Context, token string) {
	loaded, err := st.m.Load(&st.plain, token)
	if err != nil {
		return // a value that cannot be read back is saved again at return
	}
	st.set(loaded.Value(st.m.key), token, nil)
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
	switch st.status(ctx) {
	case scs.Modified:
		if token := m.Token(ctx); token == "" || token != st.client {
			m.failed(ctx, ErrHeadersSent)
			return
		}
		if _, err := st.commit(ctx); err != nil {
			m.failed(ctx, err)
		}
	case scs.Destroyed:
		m.failed(ctx, ErrHeadersSent) // it is gone from Redis; the cookie stays and is worth nothing
	}
}

// step is how much of the idle time may be over before it is renewed.
func (m *Manager) step() time.Duration { return max(m.idle/10, time.Second) }

// touch renews the idle timeout when a tenth of it is over.
func (st *state) touch(ctx context.Context) {
	m := st.m
	if st.client == "" || st.ttl <= 0 || st.ttl >= m.idle-m.step() {
		return
	}
	at := time.Now().Add(m.idle)
	if deadline := m.Deadline(ctx); deadline.Before(at) {
		if at = deadline; time.Until(at) <= st.ttl+time.Second {
			return // it cannot be renewed any further
		}
	}
	if err := m.store.touch(ctx, st.hash, at); err != nil {
		m.failed(ctx, err)
	}
}
