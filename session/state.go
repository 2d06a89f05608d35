package session

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/personal"
	"github.com/redishttp/redishttp/internal/prefetch"
)

// state is what a request knows of its session, each fact in one place: what was
// loaded, what Redis has now, what is to replace it, and what this request did to
// the sessions of its user.
type state struct {
	m       *Manager
	ctx     lazy     // what handlers get
	plain   plain    // what scs and the store get
	tokens  []string // the well-formed ones of the cookie
	visited string   // the hash of a session that Iterate visits without its token

	h       *handler // nil outside of a handler
	r       *http.Request
	run     *prefetch.Run   // of h, if it begins batches for this request
	batch   *prefetch.Batch // what this handler has sent, nil for nothing
	fetched bool            // the answer of h was looked for
	space   [1]string       // of tokens

	once sync.Once  // the load
	mu   sync.Mutex // guards what follows where more than the handler's goroutine may use it

	data   any    // scs' session data, nil until the session is used
	client string // the token that the client has
	loadResult
	inRedisNow
	rotation
	own
	lastCommit
	aside atomic.Bool // a call of the store is about another session, see MergeSession
}

// loadResult is what the load has found.
type loadResult struct {
	loadErr      error         // why there is no session although there may be one
	loadingToken string        // the token of the cookie that is tried
	loadedHash   string        // of the last session that was read, readable or not
	loadedTTL    time.Duration // of its key
	legacyToken  string        // of a session that is still where scs keeps it by itself
	unreadable   string        // the hash of a session under a key that is not configured
	corrupt      bool          // a value could not be decoded: the cookie is to be removed
}

// inRedisNow is the session as Redis has it, as far as this request knows.
type inRedisNow struct {
	base  *value // nil for a new session
	wrote bool   // this request has written base, and reads it back without Redis
}

// rotation is a new token that is not saved yet.
type rotation struct {
	renewing bool     // scs is giving the session a new token
	replaced []string // the hashes to delete once the session is saved under the new one
}

// lastCommit is what the last commit leaves for the response to do.
type lastCommit struct {
	unchanged   bool // it found nothing to write
	cookieStale bool // the client's cookie is to end at another time
}

// value is an encoded session.
type value struct {
	hash   string
	bytes  []byte
	stored []byte // as Redis has it: bytes, or bytes encrypted
}

// newState returns a state and its two contexts in one piece.
func newState(parent context.Context, m *Manager, tokens []string) *state {
	st := &state{m: m, tokens: tokens}
	st.ctx, st.plain = lazy{parent, st}, plain{parent, st}
	return st
}

// committed keeps what was just written, as what Redis has and to be read back.
func (st *state) committed(v *value) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.base, st.wrote = v, true
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

// savedHash is that of the session that was just written.
func (st *state) savedHash() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.wrote {
		return ""
	}
	return st.base.hash
}

// doomed is where the session that is being destroyed is in Redis: until a
// rotation is saved, under the hash before it.
func (st *state) doomed(hash string) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.replaced) > 0 && st.base != nil {
		return st.base.hash
	}
	return hash
}

// destroyed forgets the session that was destroyed.
func (st *state) destroyed() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.inRedisNow, st.replaced, st.own = inRedisNow{}, nil, own{revoked: st.revoked}
}

// HasReadClient tells an inner cache that the response may be about this client.
func (st *state) HasReadClient() bool { return st.touched() || personal.Touched(st.ctx.Context) }

// touched reports whether the request has used its session, found or new.
func (st *state) touched() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.data != nil
}

// remembered returns what this request has written itself.
func (st *state) remembered(hash string) ([]byte, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.wrote || st.base.hash != hash {
		return nil, false
	}
	return st.base.bytes, true
}
