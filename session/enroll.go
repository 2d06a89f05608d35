package session

import (
	"context"
	"errors"
	"time"
)

// entered adds a session to its user's index before it is saved, if it is new, was
// rotated, or has another deadline. left must be called after the save: it undoes
// both and returns ErrGone if the user's sessions were revoked in between.
func (st *state) entered(ctx context.Context) (left func() error, err error) {
	m := st.m
	user, token := m.User(ctx), m.Token(ctx)
	nothing := func() error { return nil }
	if user == "" || token == "" {
		return nothing, nil
	}
	hash, deadline := st.hashOf(token), m.Deadline(ctx)
	st.mu.Lock()
	replaces := ""
	if len(st.replaced) > 0 {
		replaces = st.replaced[0]
	}
	st.mu.Unlock()
	if st.indexed(hash, user, deadline) {
		return nothing, nil
	}
	epoch, ended, err := m.index.add(ctx, user, hash, replaces, deadline)
	st.mu.Lock()
	st.revoked = append(st.revoked, ended...) // the work of this request
	st.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return func() error {
		now, err := m.index.epoch(ctx, user)
		if err == nil && now == epoch {
			return nil
		}
		if err = errors.Join(err, m.store.delete(ctx, hash), m.index.remove(ctx, user, hash)); err != nil {
			return err
		}
		return ErrGone
	}, nil
}

// indexed reports whether the index already has the session with this user and
// deadline: a stored session was added before it was stored.
func (st *state) indexed(hash, user string, deadline time.Time) bool {
	base := st.read(hash)
	if base == nil {
		return false
	}
	was, err := st.m.codec.glance(base.bytes)
	return err == nil && was.user == user && was.deadline.Equal(deadline)
}
