package session

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/alexedwards/scs/v2"
)

// save writes the session and its cookie before the header goes out.
func (st *state) save(ctx context.Context, h http.Header) error {
	m := st.m
	varyByCookie(h)
	if st.loadErr != nil {
		if m.failureMode != FailAnonymous || errors.Is(st.loadErr, ErrRefused) || m.Status(ctx) != scs.Unmodified {
			return st.loadErr
		}
		m.failed(ctx, st.loadErr)
		noStore(h)
		return nil
	}
	status := st.status(ctx)
	if st.hasEnded(ctx, status) {
		if err := st.end(ctx); err != nil {
			return err
		}
		m.removeCookie(h)
		st.reset(ctx, "")
		return nil
	}
	switch status {
	case scs.Modified:
		token, err := st.commit(ctx)
		switch {
		case st.fate == followed:
			if err != nil && !m.rejectGone {
				m.failed(ctx, err)
				err = nil
			}
			return err
		case err == nil && st.unchanged && token == st.client && !st.cookieStale:
			st.touch(ctx)
			return nil
		case errors.Is(err, ErrGone) && !m.rejectGone:
			m.failed(ctx, err)
			m.removeCookie(h)
			st.reset(ctx, "")
			return nil
		case err != nil:
			return err
		}
		st.reset(ctx, token) // others' changes are in it by now, the deadline and RememberMe too
		m.setCookie(ctx, h, token)
		st.cookieStale = false
	case scs.Destroyed:
		m.removeCookie(h)
		st.reset(ctx, "")
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
	st.cookieStale = st.cookieStale || st.staleCookie(ctx)
	token, err := st.enterAndSave(ctx)
	for tries := 0; errors.Is(err, ErrGone) && tries < 3 && st.spared(ctx, base); tries++ {
		token, err = st.enterAndSave(ctx)
	}
	if err != nil {
		return "", err
	}
	if st.unchanged {
		return token, nil
	}
	st.moved(ctx)
	if m.hooks.Saved != nil {
		m.hooks.Saved(ctx)
	}
	st.mu.Lock()
	old, created := st.replaced, token != st.client
	logout := !st.login && !slices.Contains(st.revoked, at) // that the old one is gone
	st.replaced = nil
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

// enterAndSave adds the session to its user's index, then saves it.
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

// neverSaved removes a new session that could not be saved from the index, so that
// it does not count for [WithMaxSessions]. In an outage the entry stays, without a
// session.
func (st *state) neverSaved(ctx context.Context, err error) error {
	hash := st.hashOf(st.m.Token(ctx))
	if errors.Is(err, ErrUnavailable) || st.read(hash) != nil {
		return nil
	}
	return st.leave(ctx, st.m.User(ctx), hash)
}

// spared reports whether a rotation that failed because the user's sessions were
// revoked may be retried: the RevokeOthers of another request has spared the session
// that is rotated.
func (st *state) spared(ctx context.Context, base *value) bool {
	st.mu.Lock()
	renewed := base != nil && len(st.replaced) > 0 && st.replaced[0] == base.hash && !st.login
	if renewed {
		st.base, st.wrote = base, false
	}
	st.mu.Unlock()
	if !renewed {
		return false
	}
	_, found, err := st.m.store.peek(ctx, base.hash)
	return err == nil && found
}

// saveLate writes what was changed after the header was sent. A change that needs a
// new cookie is lost, and reported as ErrHeadersSent.
func (st *state) saveLate(ctx context.Context) {
	m := st.m
	if st.loadErr != nil {
		if m.Status(ctx) != scs.Unmodified {
			m.failed(ctx, st.loadErr)
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
		} else if st.cookieStale {
			m.failed(ctx, ErrHeadersSent)
		}
	case scs.Destroyed:
		m.failed(ctx, ErrHeadersSent) // it is gone from Redis; the cookie stays and is worth nothing
	}
}
