package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// masters are independent servers, and lockers over all of them.
type masters struct {
	servers []*redistest.Server
	prefix  string
}

func newMasters(t *testing.T, n int) *masters {
	m := &masters{prefix: redistest.Prefix(t)}
	for range n {
		m.servers = append(m.servers, redistest.NewServer(t))
	}
	if err := m.locker(t).Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *masters) locker(t *testing.T, opts ...lockmw.Option) *lockmw.Locker {
	t.Helper()
	var nodes []lockmw.Client
	for _, s := range m.servers {
		nodes = append(nodes, s.Client(t))
	}
	l, err := lockmw.NewRedlock(nodes, append([]lockmw.Option{lockmw.WithKeyPrefix(m.prefix), lockmw.WithTTL(5 * time.Second), lockmw.WithTimeout(time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, l)
	return l
}

// Several instances over five masters, two of which die: one holder at a time,
// and fences that grow.
func TestRedlockMutualExclusion(t *testing.T) {
	m := newMasters(t, 5)
	var inside, served atomic.Int32
	var mu sync.Mutex
	var fences []uint64
	var wg sync.WaitGroup
	for range 3 {
		l := m.locker(t)
		for range 4 {
			wg.Go(func() {
				for range 15 {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					k, err := l.Acquire(ctx, "key")
					if err != nil {
						cancel()
						t.Errorf("acquire: %v", err)
						return
					}
					if inside.Add(1) > 1 {
						t.Error("two holders")
					}
					mu.Lock()
					fences = append(fences, k.Fence())
					mu.Unlock()
					if n := served.Add(1); n == 40 || n == 80 {
						m.servers[n/40].Kill()
					}
					inside.Add(-1)
					if err := k.Release(ctx); err != nil {
						t.Errorf("release: %v", err)
					}
					cancel()
				}
			})
		}
	}
	wg.Wait()
	if !slices.IsSorted(fences) || len(slices.Compact(fences)) != 180 {
		t.Errorf("%d fences of 180, or they do not grow", len(fences))
	}
}

// Two of five down: it works. Three down: unavailable, within two timeouts.
func TestRedlockWithoutAMajority(t *testing.T) {
	m := newMasters(t, 5)
	l := m.locker(t)
	m.servers[0].Kill()
	m.servers[1].Kill()
	k := acquire(t, l, "a")
	if err := k.Release(t.Context()); err != nil {
		t.Error(err)
	}
	held := acquire(t, l, "held")
	m.servers[2].Kill()
	start := time.Now()
	if _, err := l.TryAcquire(t.Context(), "b"); !errors.Is(err, lockmw.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v, want at most two node timeouts", took)
	}
	select {
	case <-held.Context().Done():
		if cause := context.Cause(held.Context()); !errors.Is(cause, lockmw.ErrLost) {
			t.Errorf("the holder was told %v", cause)
		}
	case <-time.After(patience):
		t.Error("a lock that a majority has lost is still held")
	}
}

// A node that hangs costs nothing: neither an acquire nor a release waits for it.
func TestRedlockDoesNotWaitForAHungNode(t *testing.T) {
	m := newMasters(t, 5)
	l := m.locker(t)
	acquire(t, l, "warm").Release(t.Context())
	m.servers[3].Pause()
	start := time.Now()
	const locks = 30
	for range locks {
		k := acquire(t, l, "key")
		if err := k.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	took := time.Since(start)
	m.servers[3].Resume()
	if took > locks*time.Second/4 {
		t.Errorf("%d locks took %v: they waited for the node, whose timeout is a second", locks, took)
	}
}

// After a release, and after a lock that was refused, no node keeps anything.
func TestRedlockIsReleasedEverywhere(t *testing.T) {
	m := newMasters(t, 5)
	one, two := m.locker(t), m.locker(t)
	owners := func() (n int) {
		for _, s := range m.servers {
			rdb := s.Client(t)
			for _, key := range rdb.Keys(t.Context(), m.prefix+"*{*").Val() {
				if !strings.HasPrefix(rdb.Get(t.Context(), key).Val(), "f") {
					n++
				}
			}
		}
		return n
	}
	for round := range 20 {
		var wg sync.WaitGroup
		var granted atomic.Int32
		for _, l := range []*lockmw.Locker{one, two} {
			wg.Go(func() { // they split the votes
				k, err := l.TryAcquire(t.Context(), fmt.Sprint(round))
				if err == nil {
					granted.Add(1)
					defer k.Release(t.Context())
				} else if !errors.Is(err, lockmw.ErrBusy) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	redistest.Eventually(t, patience, func() bool { return owners() == 0 }, "votes stay behind")
}

// A holder has the votes of three; one of these is restarted without its data.
// It must not help a second holder to a majority.
func TestRedlockANodeWithoutDataAbstains(t *testing.T) {
	m := newMasters(t, 5)
	one, two := m.locker(t), m.locker(t)
	acquire(t, one, "warm").Release(t.Context())
	acquire(t, two, "warm").Release(t.Context())
	m.servers[3].Pause()
	m.servers[4].Pause()
	k := acquire(t, one, "key") // by nodes 1 to 3
	m.servers[0].Kill()
	m.servers[0].Restart(t) // empty
	m.servers[3].Resume()
	m.servers[4].Resume()
	deadline := time.Now().Add(3 * time.Second) // of the lease of five
	for time.Now().Before(deadline) && k.Context().Err() == nil {
		if other, err := two.TryAcquire(t.Context(), "key"); err == nil {
			if k.Context().Err() == nil {
				t.Error("two holders")
			}
			other.Release(t.Context())
			break
		}
	}
	if err := k.Release(t.Context()); err != nil {
		t.Logf("release: %v", err) // its votes may be too few by now
	}
	redistest.Eventually(t, patience, func() bool {
		other, err := two.TryAcquire(t.Context(), "key")
		if err == nil {
			other.Release(t.Context())
		}
		return err == nil
	}, "the node never votes again")
}

// Fences grow from majority to majority while nodes come and go.
func TestRedlockFencesGrow(t *testing.T) {
	m := newMasters(t, 5)
	all := []*lockmw.Locker{m.locker(t), m.locker(t)}
	last := uint64(0)
	const locks = 600
	for i := range locks {
		switch i % 100 {
		case 20:
			m.servers[i/100%5].Pause()
		case 60:
			m.servers[i/100%5].Resume()
		}
		k := acquire(t, all[i%2], "key")
		if k.Fence() <= last {
			t.Fatalf("fence %d after %d", k.Fence(), last)
		}
		last = k.Fence()
		if err := k.Release(t.Context()); err != nil && !errors.Is(err, lockmw.ErrLost) {
			t.Error(err)
		}
	}
}

// A new set of masters votes when it is told that it is new, or after a lease.
func TestRedlockBootstrap(t *testing.T) {
	m := &masters{prefix: redistest.Prefix(t)}
	for range 3 {
		m.servers = append(m.servers, redistest.NewServer(t))
	}
	l := m.locker(t, lockmw.WithTTL(600*time.Millisecond), lockmw.WithTimeout(250*time.Millisecond))
	if _, err := l.TryAcquire(t.Context(), "key"); !errors.Is(err, lockmw.ErrBusy) {
		t.Errorf("got %v, want ErrBusy: what the nodes have forgotten is unknown", err)
	}
	start := time.Now()
	acquire(t, l, "key").Release(t.Context())
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("they voted after %v", took)
	}
}

func TestRedlockMistakes(t *testing.T) {
	g, cluster := redistest.Standalone(t), redistest.Cluster(t)
	one, other := g.Client(t), redistest.NewServer(t).Client(t)
	for name, tc := range map[string]struct {
		nodes []lockmw.Client
		want  string
	}{
		"even":    {[]lockmw.Client{one, other}, "2 is not an odd number"},
		"one":     {[]lockmw.Client{one}, "1 is not an odd number"},
		"nil":     {[]lockmw.Client{one, nil, other}, "node 2 is nil"},
		"cluster": {[]lockmw.Client{one, cluster.Client(t), other}, "node 2 is a cluster"},
	} {
		if _, err := lockmw.NewRedlock(tc.nodes, lockmw.WithName("")); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "WithName") {
			t.Errorf("%s: got %v, want %q and the other mistake", name, err, tc.want)
		}
	}
	l, err := lockmw.NewRedlock([]lockmw.Client{one, other, g.Client(t)}) // one server twice
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(t.Context())
	var mistake *lockmw.OptionError
	if _, err := l.TryAcquire(t.Context(), "key"); !errors.As(err, &mistake) || !strings.Contains(err.Error(), "nodes") && !strings.Contains(err.Error(), "one server") {
		t.Errorf("got %v, want that two nodes are one server", err)
	}
	if err := locker(t, one).Bootstrap(t.Context()); err == nil {
		t.Error("Bootstrap of a single deployment did not fail")
	}
}

// The Handler works over masters that vote as over one.
func TestRedlockHandler(t *testing.T) {
	m := newMasters(t, 3)
	var inside, most atomic.Int32
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := inside.Add(1); n > 1 {
			most.Store(n)
		}
		inside.Add(-1)
	})
	key := lockmw.WithKey(func(r *http.Request) (string, error) { return r.URL.Path, nil })
	all := []http.Handler{m.locker(t, key, lockmw.WithWait(patience)).Handler(h), m.locker(t, key, lockmw.WithWait(patience)).Handler(h)}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			w := httptest.NewRecorder()
			all[i%2].ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/order", nil))
			if w.Code != 200 {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	if most.Load() > 1 {
		t.Errorf("%d at once", most.Load())
	}
}
