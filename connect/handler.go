package connect

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	healthTimeout = time.Second
	healthAge     = 500 * time.Millisecond
)

// HealthHandler answers readiness probes: 200 when the named connections are
// well (all of the Set when none is named), else 503. Either way the body is
// JSON with the state of every connection, those that are not named as well:
//
//	{"status":"unavailable","connections":{"default":{"mode":"cluster","ok":false,"error":"…","latency_ms":0,"nodes":[…]}}}
//
// It holds addresses and causes but no secret. Redis is asked at most twice a
// second however often the handler is, and for a second at the longest. HEAD
// and GET are answered; others get 405.
//
// Name only connections without which this instance cannot serve at all: when
// Redis is down every instance is unready at once, and the middlewares have
// better ways to get through an outage. For liveness use [Set.LivenessHandler].
func (s *Set) HealthHandler(required ...string) http.Handler {
	h := &health{ask: func(ctx context.Context) (map[string]Health, bool) {
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
		return all, ok && !s.isClosed()
	}}
	return h
}

// HealthHandler is [Set.HealthHandler] for a single connection.
func (c *Conn) HealthHandler() http.Handler {
	return &health{ask: func(ctx context.Context) (map[string]Health, bool) {
		h := c.Health(ctx)
		return map[string]Health{c.name: h}, h.OK
	}}
}

// LivenessHandler answers liveness probes: 200 until the Set is closed, then
// 503. It does not ask Redis, for an orchestrator restarts what is not alive,
// and a restart mends no Redis.
func (s *Set) LivenessHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, !s.isClosed(), nil)
	})
}

// health shares one answer among probes that come together.
type health struct {
	ask func(context.Context) (map[string]Health, bool)

	mu    sync.Mutex
	asked time.Time
	last  map[string]Health
	ok    bool
}

func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	if time.Since(h.asked) > healthAge {
		// Not the request's context: others get this answer too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), healthTimeout)
		h.last, h.ok = h.ask(ctx)
		cancel()
		h.asked = time.Now()
	}
	last, ok := h.last, h.ok
	h.mu.Unlock()
	answer(w, r, ok, last)
}

type answerBody struct {
	Status      string                `json:"status"` // ok or unavailable
	Connections map[string]answerConn `json:"connections,omitempty"`
}

type answerConn struct {
	Mode    string       `json:"mode"`
	OK      bool         `json:"ok"`
	Error   string       `json:"error,omitempty"`
	Latency float64      `json:"latency_ms"`
	Nodes   []NodeHealth `json:"nodes,omitempty"`
}

func answer(w http.ResponseWriter, r *http.Request, ok bool, all map[string]Health) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	body := answerBody{Status: "ok"}
	status := http.StatusOK
	if !ok {
		body.Status, status = "unavailable", http.StatusServiceUnavailable
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
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(body)
	}
}
