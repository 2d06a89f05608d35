package session

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/prefetch"
	"github.com/redishttp/redishttp/internal/redigoconn"
)

// handler is the Manager around one handler.
type handler struct {
	m    *Manager
	next http.Handler
	run  *prefetch.Run // of the handlers inside
}

// ahead is the read of a session before its handler uses it.
type ahead struct {
	prefetch.Question
	m     *Manager
	ctx   context.Context
	token string
	hash  string // of it
	read  redigoconn.Read
	call  breaker.Call
	class prefetch.Class
}

// Owner implements [prefetch.Handler].
func (h *handler) Owner() any { return h.m }

// Prefetch implements [prefetch.Handler]: the session is read if the request has
// a cookie that can be a token, and if requests of its kind use their sessions.
func (h *handler) Prefetch(b *prefetch.Batch, r *http.Request) {
	if !h.m.prefetch {
		return
	}
	if q := h.question(r); q != nil {
		b.Add(&q.Question)
	}
	b.Visit(h.run.Next())
}

// question returns what would be read for a request, nil for nothing.
func (h *handler) question(r *http.Request) *ahead {
	m, s := h.m, h.m.store
	var space [1]string
	tokens := m.tokens(space[:0], r)
	if len(tokens) == 0 {
		return nil
	}
	class := prefetch.ClassOf(r)
	if !m.usage.Wanted(class) {
		return nil
	}
	hash := hashOf(tokens[0])
	key := m.base + hash
	call, ok := s.nodes.Allow(key)
	if !ok {
		return nil
	}
	q := &ahead{m: m, ctx: r.Context(), token: tokens[0], hash: hash, call: call, class: class}
	q.read.Of(r.Context(), key, !s.fresh.is(hash, time.Now()))
	q.Question = prefetch.Question{Owner: m, Asker: q, Caller: s.caller, Key: key, Commands: q.read.Commands(), Timeout: m.loadTimeout}
	return q
}

// Report implements [prefetch.Asker].
func (q *ahead) Report(err error) { q.m.store.settle(q.ctx, q.call, err) }

// Unused implements [prefetch.Asker].
func (q *ahead) Unused(prefetch.Outcome) {
	q.m.usage.Drop(q.class)
	q.inVain()
}

// inVain calls the hook.
func (q *ahead) inVain() {
	if q.m.hooks.Prefetched != nil {
		q.m.hooks.Prefetched(q.ctx, false)
	}
}

// begins reports whether the session has the handlers inside ask with it. If it is
// inside of another beginner, that one does.
func (h *handler) begins(r *http.Request) bool {
	return h.m.prefetch && !prefetch.Visited(r.Context(), h)
}

// batch returns what is read for a request whose outermost middleware of this
// module is the session, nil for nothing.
func (h *handler) batch(r *http.Request) *prefetch.Batch {
	b := h.run.Batch(r)
	if b == nil {
		return nil
	}
	q := h.question(r)
	if q == nil {
		return nil
	}
	b.Add(&q.Question)
	b.Send()
	return b
}

// readHash is the hash of a token that is read.
func (st *state) readHash(ctx context.Context, token string) string {
	if st.h != nil {
		if q, ok := prefetch.Asked(ctx, st.h).(*ahead); ok && q.token == token {
			return q.hash
		}
	}
	return st.hashOf(token)
}

// prefetched returns the read of a session that was made before it was used, nil
// if there is none of this hash. The error is that of a reply that is late.
func (st *state) prefetched(ctx context.Context, hash string) (*redigoconn.Read, error) {
	if st == nil || st.h == nil || st.fetched {
		return nil, nil
	}
	st.fetched = true
	m := st.m
	taken, outcome := prefetch.Take(ctx, st.h)
	if taken == nil {
		m.usage.Asked(prefetch.ClassOf(st.r))
		return nil, nil
	}
	q, _ := taken.Asker.(*ahead)
	if q.hash != hash {
		m.usage.Change(q.class)
		q.inVain()
		return nil, nil
	}
	m.usage.Take(q.class)
	if m.hooks.Prefetched != nil {
		m.hooks.Prefetched(ctx, true)
	}
	switch outcome {
	case prefetch.Answered:
		return &q.read, nil
	case prefetch.Late:
		return nil, blame(context.DeadlineExceeded)
	case prefetch.None:
	}
	return nil, nil
}

// settle tells the breaker of a node how a call over go-redis ended.
func (s *store) settle(ctx context.Context, call breaker.Call, err error) {
	if err != nil {
		s.rights.See(ctx, err)
	}
	switch e := s.nodes.Report(call, err); e.Change {
	case breaker.None:
	case breaker.Opened:
		s.m.logger.LogAttrs(ctx, slog.LevelWarn, "redis is unavailable, sessions cannot be loaded", slog.String("addr", e.Addr))
	case breaker.Closed:
		s.m.logger.LogAttrs(ctx, slog.LevelInfo, "redis is back, sessions are loaded again", slog.String("addr", e.Addr))
	}
}
