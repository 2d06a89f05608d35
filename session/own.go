package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/alexedwards/scs/v2"
)

// fate is what has become of the session while the request runs.
type fate int

const (
	alive    fate = iota
	ended         // this request has revoked it, and has made no new one since
	followed      // a rotation of another request has replaced it: the response of that one sets the cookie
)

// own is what a request has itself done to the sessions of its user. Without it the
// save would mistake that for a logout by another request, which is final.
type own struct {
	revoked []string // hashes of sessions that this request revoked
	login   bool     // Login has made the session: it stays even if the one before was logged out
	fate    fate
}

// revoke records what this request has revoked. A session that Login or
// RenewToken have made before, but that is not saved yet, ends with all others
// of the user.
func (st *state) revoke(ctx context.Context, hashes []string, all bool, user string) {
	if st == nil {
		return
	}
	unread := !st.touched() // its cookie may still name one of them
	if unread {
		if !slices.ContainsFunc(st.tokens, func(token string) bool { return slices.Contains(hashes, hashOf(token)) }) {
			return
		}
		st.load()
	}
	holds := unread || all && user != "" && st.m.User(ctx) == user
	at := st.where(ctx)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.revoked = append(st.revoked, hashes...)
	if holds || len(st.replaced) == 0 && slices.Contains(hashes, at) {
		st.fate = ended
	}
}

// where is the hash under which Redis has this request's session now: until a
// rotation is saved, the one before it. It is "" without a session.
func (st *state) where(ctx context.Context) string {
	token := st.m.Token(ctx)
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case token == "":
		return ""
	case len(st.replaced) > 0 && st.base != nil:
		return st.base.hash
	}
	return st.hashOf(token)
}

// inRedis is the session as this request knows it in Redis: its hash and user.
func (st *state) inRedis() (hash, user string) {
	st.mu.Lock()
	base := st.base
	st.mu.Unlock()
	if base == nil {
		return "", ""
	}
	was, err := st.m.codec.glance(base.bytes)
	if err != nil {
		return base.hash, ""
	}
	return base.hash, was.user
}

// hasEnded reports whether this request has ended the session itself: revoked it,
// or set a deadline that is not in the future.
func (st *state) hasEnded(ctx context.Context, status scs.Status) bool {
	st.mu.Lock()
	revoked := st.fate == ended
	st.mu.Unlock()
	return revoked || status == scs.Modified && !time.Now().Before(st.m.Deadline(ctx))
}

// end deletes a session that hasEnded, unless a revocation has deleted it.
func (st *state) end(ctx context.Context) error {
	hash, user := st.inRedis()
	st.mu.Lock()
	gone := hash == "" || slices.Contains(st.revoked, hash)
	st.mu.Unlock()
	if gone {
		return nil
	}
	if err := st.m.store.delete(ctx, hash); err != nil {
		return err
	}
	st.m.event(ctx, eventDestroyed, hash)
	return st.leave(ctx, user, hash)
}

// leave removes a session from a user's index.
func (st *state) leave(ctx context.Context, user, hash string) error {
	if user == "" {
		return nil
	}
	return st.m.index.remove(ctx, user, hash)
}

// left is leave after the session was saved under another hash or user. An error
// only reaches the hook: an entry of the index without a session is harmless.
func (st *state) left(ctx context.Context, user, hash string) {
	if err := st.leave(ctx, user, hash); err != nil {
		st.m.failed(ctx, err)
	}
}

// merge copies the values of another session, see [Manager.MergeSession].
func (st *state) merge(ctx context.Context, token string) error {
	at := hashOf(token)
	if st.holds(at) {
		return nil
	}
	st.aside.Store(true) // what the store reads and deletes is another session
	defer st.aside.Store(false)
	err := st.m.scs.MergeSession(ctx, token)
	if errors.Is(err, errExpired) {
		return nil
	}
	if err == nil {
		st.left(ctx, st.m.User(ctx), at) // the user was copied too, if it had one
	}
	return err
}

// holds reports whether hash is that of this request's own session, also of the one
// before a rotation that is not saved yet.
func (st *state) holds(hash string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.base != nil && st.base.hash == hash || slices.Contains(st.replaced, hash)
}

// loggedIn records that Login made the session.
func (st *state) loggedIn() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.login = true
}
