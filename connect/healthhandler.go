package connect

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

// healthTimeout bounds how long a probe asks Redis, and healthAge is how long its
// result is shared.
const (
	healthTimeout = time.Second
	healthAge     = 500 * time.Millisecond
)

// HealthHandler serves readiness probes. It returns 200 if the required
// connections (all of the Set if none is named) are healthy, and 503 otherwise.
// Either way the body is JSON with the state of every connection, required or
// not:
//
//	{"status":"unavailable","connections":{"default":{"mode":"cluster","ok":false,"error":"…","latency_ms":0,"nodes":[…]}}}
//
// It holds addresses and causes but no secret. Redis is asked at most twice a
// second, however often the handler is called, and for at most one second. Methods
// other than GET and HEAD get 405.
//
// Require only connections without which this instance cannot serve at all: when
// their Redis is down, every instance is unready at once, and the middlewares have
// better ways to get through an outage. For liveness use [Set.LivenessHandler].
//
// From the start of [Set.Close] it returns 503 at once, with the status "closing",
// and asks no Redis.
//
//	mux.Handle("GET /readyz", set.HealthHandler("main"))
//	mux.Handle("GET /livez", set.LivenessHandler())
func (s *Set) HealthHandler(required ...string) http.Handler {
	closing := func() bool { closing, _ := s.state(); return closing }
	return &health{closing: closing, ask: func(ctx context.Context) (map[string]Health, bool) {
		all, ok := s.Health(ctx), true
		for name, conn := range all {
			if (len(required) == 0 || slices.Contains(required, name)) && !conn.OK {
				ok = false
			}
		}
		for _, name := range required {
			conn, err := s.Get(name) // an alias, perhaps
			switch {
			case err != nil:
				all[name], ok = Health{Conn: name, Error: err.Error()}, false
			case !all[conn.Name()].OK:
				ok = false
			}
		}
		return all, ok
	}}
}

// HealthHandler is [Set.HealthHandler] for a single connection, which it
// requires.
func (c *Conn) HealthHandler() http.Handler {
	return &health{closing: func() bool { return c.open.Err() != nil }, ask: func(ctx context.Context) (map[string]Health, bool) {
		h := c.Health(ctx)
		return map[string]Health{c.name: h}, h.OK
	}}
}

// LivenessHandler serves liveness probes. It returns 200 until [Set.Close] has
// returned, then 503. It does not ask Redis: an orchestrator restarts instances
// that are not alive, and restarting them does not repair Redis.
func (s *Set) LivenessHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, closed := s.state()
		answer(w, r, status(!closed), nil)
	})
}

// health shares one result among probes that arrive at the same time.
type health struct {
	closing func() bool
	ask     func(context.Context) (map[string]Health, bool)

	mu    sync.Mutex
	asked time.Time
	last  map[string]Health
	ok    bool
}

// ServeHTTP responds from the last result if it is recent, and asks otherwise.
// Probes that arrive in between wait for the one that asks.
func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.closing() { // before the lock, which another probe may hold
		answer(w, r, "closing", nil)
		return
	}
	h.mu.Lock()
	if time.Since(h.asked) > healthAge {
		// Not the request's context: other probes share the result.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), healthTimeout)
		h.last, h.ok = h.ask(ctx)
		cancel()
		h.asked = time.Now()
	}
	last, ok := h.last, h.ok
	h.mu.Unlock()
	if h.closing() {
		answer(w, r, "closing", nil)
		return
	}
	answer(w, r, status(ok), last)
}

// status is the status of a probe that has asked Redis.
func status(ok bool) string {
	if ok {
		return "ok"
	}
	return "unavailable"
}

// answerBody is the JSON of a probe.
type answerBody struct {
	Status      string                `json:"status"` // ok, unavailable or closing
	Connections map[string]answerConn `json:"connections,omitempty"`
}

// answerConn is the state of one connection in it.
type answerConn struct {
	Mode    string       `json:"mode"`
	OK      bool         `json:"ok"`
	Error   string       `json:"error,omitempty"`
	Latency float64      `json:"latency_ms"`
	Nodes   []NodeHealth `json:"nodes,omitempty"`
}

// answer writes the response to a probe; all is nil where Redis was not asked.
func answer(w http.ResponseWriter, r *http.Request, status string, all map[string]Health) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	body := answerBody{Status: status}
	code := http.StatusOK
	if status != "ok" {
		code = http.StatusServiceUnavailable
	}
	if all != nil {
		body.Connections = map[string]answerConn{}
	}
	for name, h := range all {
		body.Connections[name] = answerConn{h.Mode, h.OK, h.Error, float64(h.Latency.Microseconds()) / 1000, h.Nodes}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(body)
	}
}
