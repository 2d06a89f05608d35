package session

import (
	"context"
	_ "embed" // for the script
	"errors"
	"slices"
	"time"

	"github.com/gomodule/redigo/redis"
)

//go:embed retire.lua
var retireSource string

// markerLife is how long a request that has loaded a session can distinguish its
// rotation from a logout. It is longer than most handlers run; after it the
// session counts as logged out.
const markerLife = 2 * time.Minute

// marker returns the key that names the session into which a rotation turned this
// one. It is in the same slot.
func (m *Manager) marker(hash string) string {
	return userPrefix + m.base + "{" + m.base + hash + "}:m"
}

// retire deletes the session that was rotated into made. gone reports that
// another request has logged it out since it was loaded. If another request has
// rotated it too, both new sessions stay, unless the other one was logged out.
// What another request has saved since the session was loaded is merged into
// made.
func (st *state) retire(ctx context.Context, base *value, made string) (gone bool, err error) {
	m := st.m
	marker := m.marker(base.hash)
	sealed, err := m.seal.seal(marker, []byte(made))
	if err != nil {
		return false, err
	}
	var reply [][]byte
	err = m.store.with(context.WithoutCancel(ctx), m.base+base.hash, m.saveTimeout, func(p *pair) error {
		conn := p.pool.Get()
		defer conn.Close()
		var err error
		reply, err = redis.ByteSlices(conn.Do("EVAL", retireSource, 2, m.base+base.hash, marker, sealed, markerLife.Milliseconds()))
		return err
	})
	switch {
	case err != nil:
		return false, err
	case len(reply) != 2:
		return false, errors.New("session: rotation: unexpected reply")
	case len(reply[0]) > 0:
		return false, st.catchUp(ctx, base, reply[0])
	case len(reply[1]) == 0:
		return true, nil
	}
	next, err := m.seal.open(marker, "", reply[1])
	if err != nil {
		return false, err
	}
	st.mu.Lock()
	mine := slices.Contains(st.revoked, string(next))
	st.mu.Unlock()
	if mine { // RevokeOthers of this request has ended it: no logout
		return false, nil
	}
	successor, err := m.store.successor(ctx, string(next))
	return successor == nil && err == nil, err
}

// catchUp merges what another request has saved since this one has read base.
func (st *state) catchUp(ctx context.Context, base *value, stored []byte) error {
	if string(stored) == string(base.stored) {
		return nil
	}
	m := st.m
	theirs, err := m.seal.open(m.base, base.hash, stored)
	if err != nil {
		return err
	}
	st.mu.Lock()
	made := st.base
	st.mu.Unlock()
	merged, err := m.merge(base.bytes, made.bytes, theirs)
	if err != nil {
		return err
	}
	return m.store.commitGuarded(ctx, st, made, merged)
}

// movedTo returns the session into which a rotation turned one that is gone. It
// is nil if that one was logged out or has expired.
func (s *store) movedTo(ctx context.Context, hash string) (*value, error) {
	hash, err := s.next(ctx, hash)
	if err != nil || hash == "" {
		return nil, err
	}
	return s.successor(ctx, hash)
}

// successor reads a session that a marker names, or the one that it was rotated
// into since.
func (s *store) successor(ctx context.Context, hash string) (*value, error) {
	for range 8 { // markers that form a circle are forged
		stored, found, err := s.peek(ctx, hash)
		if err != nil {
			return nil, err
		}
		if found {
			b, err := s.m.seal.open(s.m.base, hash, stored)
			return &value{hash, b, stored}, err
		}
		if hash, err = s.next(ctx, hash); err != nil || hash == "" {
			return nil, err
		}
	}
	return nil, nil
}

// next returns the hash that the marker of a session names, "" without a marker.
func (s *store) next(ctx context.Context, hash string) (string, error) {
	marker := s.m.marker(hash)
	named, err := s.marked(ctx, marker)
	if err != nil || named == nil {
		return "", err
	}
	b, err := s.m.seal.open(marker, "", named)
	return string(b), err
}

// marked reads a marker, nil for none.
func (s *store) marked(ctx context.Context, marker string) (b []byte, err error) {
	err = s.with(context.WithoutCancel(ctx), marker, s.m.saveTimeout, func(p *pair) error {
		conn := p.pool.Get()
		defer conn.Close()
		b, err = redis.Bytes(conn.Do("GET", marker))
		if errors.Is(err, redis.ErrNil) {
			b, err = nil, nil
		}
		return err
	})
	return b, err
}

// follow merges the changes of this request into the session that a rotation of
// another request has made. It sets no cookie: the response of the rotation does.
func (s *store) follow(ctx context.Context, st *state, base *value, mine []byte) error {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.m.saveTimeout)
	defer cancel()
	for wait.Err() == nil {
		next, err := s.movedTo(ctx, base.hash)
		switch {
		case err != nil:
			return err
		case next == nil:
			return ErrGone
		case !s.m.sameUser(base.bytes, next.bytes):
			st.leaveCookie()
			return errRotated
		}
		merged, err := s.m.merge(base.bytes, mine, next.bytes)
		if err != nil {
			return err
		}
		if err := s.m.fits(merged); err != nil {
			return err
		}
		stored, err := s.m.seal.seal(s.m.base+next.hash, merged)
		if err != nil {
			return err
		}
		guardErr, err := s.replace(ctx, next, merged, stored)
		if err != nil {
			return err
		}
		if guardErr == nil {
			// A later change of this request finds its own as what was there.
			st.committed(&value{base.hash, merged, base.stored})
			st.leaveCookie()
			return nil
		}
	}
	return ErrConflict
}

// destroy deletes a session, and the one into which another request has rotated it
// since: a logout is final.
func (s *store) destroy(ctx context.Context, st *state, hash string) error {
	was, err := s.deleted(ctx, hash)
	st.mu.Lock()
	base := st.base
	st.mu.Unlock()
	if err != nil || was || base == nil || base.hash != hash {
		return err
	}
	next, err := s.movedTo(ctx, hash)
	if err != nil || next == nil || !s.m.sameUser(base.bytes, next.bytes) {
		return err
	}
	if err := s.delete(ctx, next.hash); err != nil {
		return err
	}
	_, user := st.inRedis()
	return st.leave(ctx, user, next.hash)
}

// leaveCookie has the response leave the client's cookie as it is.
func (st *state) leaveCookie() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.fate == alive {
		st.fate = followed
	}
}

// sameUser reports whether two encoded sessions have the same user, or none
// both.
func (m *Manager) sameUser(a, b []byte) bool {
	_, was, err := m.codec.decode(a)
	_, now, err2 := m.codec.decode(b)
	return err == nil && err2 == nil && was[userKey] == now[userKey]
}
