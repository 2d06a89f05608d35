package chaintest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// tailMeeting is a hook that holds the release of a lock and the fill of a page until both are
// under way.
type tailMeeting struct {
	lock, page string // what their keys begin with
	mu         sync.Mutex
	on         bool
	released   chan struct{}
	filled     chan struct{}
	missed     bool
}

func (m *tailMeeting) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (m *tailMeeting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (m *tailMeeting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		m.meet(cmd)
		return next(ctx, cmd)
	}
}

func (m *tailMeeting) meet(cmd redis.Cmder) {
	m.mu.Lock()
	mine, other := m.released, m.filled
	key := ""
	for _, arg := range cmd.Args() {
		if s, ok := arg.(string); ok && (strings.HasPrefix(s, m.lock) || strings.HasPrefix(s, m.page)) {
			key = s
			break
		}
	}
	on := m.on && key != ""
	if strings.HasPrefix(key, m.page) {
		mine, other = other, mine
	}
	m.mu.Unlock()
	if !on {
		return
	}
	select {
	case <-mine: // a second command of the same
		return
	default:
		close(mine)
	}
	select {
	case <-other:
	case <-time.After(Patience):
		m.mu.Lock()
		m.missed = true
		m.mu.Unlock()
	}
}

// The lock inside the cache is released while the response is stored: neither waits for
// the other. When the request has ended, both are done.
func TestALockIsReleasedWhileTheResponseIsStored(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	c := newChain(t, rdb, prefix)
	m := &tailMeeting{lock: prefix + "l", page: prefix + "c", released: make(chan struct{}), filled: make(chan struct{})}
	rdb.AddHook(m)
	h := c.responses.Handler(c.locks.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		io.WriteString(w, "page")
		if r.URL.Path == "/page" {
			m.mu.Lock()
			m.on = true
			m.mu.Unlock()
		}
	})))
	for _, path := range []string{"/first", "/page"} { // the first request loads the scripts
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if !strings.Contains(w.Header().Get("Cache-Status"), "stored") {
			t.Fatalf("%s is not stored: %v", path, w.Header())
		}
	}
	if m.missed || !m.on {
		t.Error("the release and the fill waited for each other")
	}
	m.mu.Lock()
	m.on = false
	m.mu.Unlock()
	k, err := c.locks.TryAcquire(t.Context(), "/page")
	if err != nil {
		t.Fatalf("the lock is held after the request: %v", err)
	}
	redistest.NoErrors(t, k.Release(t.Context()))
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/page", nil)); w.Header().Get("Age") == "" {
		t.Errorf("no hit: %v", w.Header())
	}
}
