package cache

import (
	"net/http"
	"sync"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// flights are the handler calls under way in this process that other requests
// wait for. A waiting request never gets the response of another one directly: it
// looks the store up again, so it gets only what the store may give it.
type flights struct {
	mu  sync.Mutex
	all map[string]*flight
}

// flight is one of them. Its fields are read when done is closed.
type flight struct {
	done chan struct{}
	once sync.Once
	gen  uint64      // of the purges that this process knew of when it began
	of   store.Class // of the request that makes it
	// Set before done is closed.
	how      outcome
	response *store.Found // when Redis was away and could not keep it
}

// leading is the flight of the request that makes the response.
type leading struct {
	*flight
	key   string
	begun time.Time
}

// outcome is how a flight ended.
type outcome int

const (
	abandoned outcome = iota // it panicked, was cut short, or its client left: the next request takes over
	stored                   // look the store up again
	notStored                // nothing is stored for requests of its class: each makes its own
)

// join returns the flight for a key, and whether the caller is to make it.
func (fs *flights) join(key string, gen uint64, of store.Class) (f *flight, leads bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.all[key]; f != nil {
		return f, false
	}
	if fs.all == nil {
		fs.all = map[string]*flight{}
	}
	f = &flight{done: make(chan struct{}), gen: gen, of: of}
	fs.all[key] = f
	return f, true
}

// finish ends a flight, and the wait of others for it; the first call counts.
func (fs *flights) finish(key string, f *flight, how outcome) {
	f.once.Do(func() {
		fs.mu.Lock()
		delete(fs.all, key)
		fs.mu.Unlock()
		f.how = how
		close(f.done)
	})
}

// unshared returns why a request does not wait for others, "" if it does.
func unshared(r *http.Request) string {
	h := r.Header
	switch {
	case r.Method != http.MethodGet:
		return "method"
	case len(h["Authorization"]) > 0 || len(h["Range"]) > 0:
		return "partial"
	case rules.Conditional(r):
		return "conditional"
	}
	return ""
}
