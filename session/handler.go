package session

import (
	"log/slog"
	"net/http"

	"github.com/redishttp/redishttp/internal/prefetch"
	"github.com/redishttp/redishttp/internal/problem"
	"github.com/redishttp/redishttp/internal/respw"
)

// Handler gives each request its session: loaded when it is first used, saved
// once before the final header goes out (also for Flush, Hijack and 101), and
// again when the handler returns if it was changed since. A request that does
// not use its session costs no command and gets no header; the response of a
// handler that does gets Vary: Cookie.
//
// A request whose session cannot be loaded or saved gets 503 with Retry-After
// in place of the handler's response, or 500 if retrying cannot help; see
// [WithFailureMode], [WithDenyHandler] and [Manager.Require]. The handler has
// run by then: what it wrote is dropped, and its header fields are replaced by
// those that outer middlewares had set. After a panic nothing is saved.
//
// Put [net/http.CrossOriginProtection] and a rate limiter around it, and a
// response cache inside, which then knows that the session was used. Handlers
// of several Managers may be nested.
//
// Inside of a limiter of this module the session is read in the limiter's round
// trip, together with a response cache further inside; see [WithPrefetch].
func (m *Manager) Handler(next http.Handler) http.Handler {
	return &handler{m: m, next: next, run: prefetch.NewRun(next)}
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := h.m
	st := newState(r.Context(), m, nil)
	st.h, st.r, st.tokens = h, r, m.tokens(st.space[:0], r)
	if h.begins(r) {
		prefetch.Learn(r.Context(), h) // the next batch may be that of an outer middleware
		st.run, st.batch = h.run, h.batch(r)
		defer st.batch.Close()
	}
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
	h.next.ServeHTTP(rw, r.WithContext(ctx))
	b.Finish()
	if b.Status() != 0 && st.touched() {
		varyByCookie(w.Header()) // too late for the client; an outer cache sees it
		st.saveLate(ctx)
	}
}

// LoadAndSave is [Manager.Handler], by the name that it has in scs. Use it to
// leave the code of a service that comes from scs as it is.
func (m *Manager) LoadAndSave(next http.Handler) http.Handler { return m.Handler(next) }

// Require loads the session before next runs, and refuses the request as
// Handler does if it cannot be loaded, also with [FailAnonymous]. Use it inside
// Handler, for routes that must not run without their session: otherwise next
// sees an empty session and runs, and only its response is replaced. It does
// not require a login: check [Manager.User] for that. A request without a
// session, or without a cookie, reaches next. Outside of Handler every request
// gets 500, and an error is logged.
func (m *Manager) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := m.state(r.Context())
		if st == nil {
			m.logger.LogAttrs(r.Context(), slog.LevelError, "a handler of Require is not inside Handler")
			problem.Of(http.StatusInternalServerError, "").Write(w, r)
			return
		}
		st.load()
		if st.loadErr != nil {
			m.refuse(w, r, w.Header().Clone(), st.loadErr)
			return
		}
		next.ServeHTTP(w, r)
	})
}
