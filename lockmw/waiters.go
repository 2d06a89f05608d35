package lockmw

import (
	"context"
	"sync"
)

// waiterQueues holds the waiters of one process in order of arrival. The first
// one of each key takes over from a holder of the process, or waits in Redis for
// all of them.
type waiterQueues struct {
	mu    sync.Mutex
	byKey map[string][]*waiter
}

// waiter is one place in a queue.
type waiter struct {
	first   chan struct{} // closed when it is the first
	handoff chan grant    // of capacity 1

	// Under waiterQueues.mu: a handoff was sent, or it waits in Redis and gets none.
	handed, inRedis bool
}

// enter adds a waiter for key. leave must be called in any case.
func (q *waiterQueues) enter(key string) *waiter {
	w := &waiter{first: make(chan struct{}), handoff: make(chan grant, 1)}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byKey == nil {
		q.byKey = map[string][]*waiter{}
	}
	q.byKey[key] = append(q.byKey[key], w)
	if len(q.byKey[key]) == 1 {
		close(w.first)
	}
	return w
}

// leave removes w, the second time it does nothing. A waiter that leaves may
// have been handed the lock: see withdraw.
func (q *waiterQueues) leave(key string, w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.byKey[key]
	for i, other := range queue {
		if other != w {
			continue
		}
		queue = append(queue[:i:i], queue[i+1:]...)
		if i == 0 && len(queue) > 0 {
			close(queue[0].first)
		}
		break
	}
	if len(queue) == 0 {
		delete(q.byKey, key)
		return
	}
	q.byKey[key] = queue
}

// handOff sends g to the first waiter, unless that one waits in Redis.
func (q *waiterQueues) handOff(key string, g grant) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.byKey[key]
	if len(queue) == 0 || queue[0].inRedis || queue[0].handed {
		return false
	}
	queue[0].handed = true
	queue[0].handoff <- g
	return true
}

// firstInRedis reports whether the first waiter for key waits in Redis.
func (q *waiterQueues) firstInRedis(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.byKey[key]
	return len(queue) > 0 && queue[0].inRedis
}

// withdraw makes w wait in Redis from now on. It returns what w was handed
// before.
func (q *waiterQueues) withdraw(w *waiter) (g grant) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.handed {
		g = <-w.handoff
	}
	w.handed, w.inRedis = false, true
	return g
}

// count returns how many wait for key.
func (q *waiterQueues) count(key string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.byKey[key])
}

// awaitFirst waits until w is the first.
func (w *waiter) awaitFirst(ctx context.Context) error {
	select {
	case <-w.first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
