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

// own is what a request has itself done to the sessions of its user. Without it
// the save would take that for the work of another request: a logout, which is
// final.
type own struct {
	revoked []string // hashes of sessions that this request revoked
	login   bool     // the session is the work of Login, and stays whatever happens to the one before
	fate    fate
}

// revoke notes what this request has revoked. A session that Login or
// RenewToken have made before, but that is not saved yet, ends with all others
// of the user.
func (st *state) revoke(ctx context.Context, hashes []string, all bool, user string) {
	if st == nil {
		return
	}
	unread := !st.touched() // its cookie may be one of them all the same
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
	_, was, err := st.m.codec.decode(base.bytes)
	if err != nil {
		return base.hash, ""
	}
	user, _ = was[userKey].(string)
	return base.hash, user
}

// hasEnded reports whether the session is over by this request's own doing:
// revoked, or given a deadline that is not in the future.
func (st *state) hasEnded(ctx context.Context, status scs.Status) bool {
	st.mu.Lock()
	revoked := st.fate == ended
	st.mu.Unlock()
	return revoked || status == scs.Modified && !time.Now().Before(st.m.Deadline(ctx))
}

// end removes what is left of a session that has ended.
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

// leave takes a session out of a user's index.
func (st *state) leave(ctx context.Context, user, hash string) error {
	if user == "" {
		return nil
	}
	return st.m.index.remove(ctx, user, hash)
}

// left is leave after the session was saved elsewhere, or as another user's: what
// the index then names is harmless.
func (st *state) left(ctx context.Context, user, hash string) {
	if err := st.leave(ctx, user, hash); err != nil {
		st.m.failed(ctx, err)
	}
}

// merge takes the values of another session over, see [Manager.MergeSession].
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
		st.left(ctx, st.m.User(ctx), at) // its user is ours now, if it had one
	}
	return err
}

// holds reports whether that is this request's own session, also before a
// rotation that is not saved yet.
func (st *state) holds(hash string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.base != nil && st.base.hash == hash || slices.Contains(st.replaced, hash)
}

func (st *state) loggedIn() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.login = true
}
