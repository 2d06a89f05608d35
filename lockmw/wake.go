package lockmw

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// wake is the one subscription of a process, started by the first lock that
// is busy: release.lua names the waiter whose turn it is.
type wake struct {
	l *Locker

	mu      sync.Mutex
	waiters map[string]chan struct{} // by owner
	pubsub  *redis.PubSub
	ready   chan struct{} // closed when first subscribed
	stopped sync.WaitGroup
	closed  bool
}

func (w *wake) init(l *Locker) {
	w.l, w.waiters, w.ready = l, map[string]chan struct{}{}, make(chan struct{})
}

// wait registers a waiter.
func (w *wake) wait(owner string) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiters[owner] = ch
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.waiters, owner)
	}
}

// subscribe starts the subscription if need be. Without one, because the ACL
// forbids it or Redis is slow, waiters poll by the clock. It reports whether
// this call waited for it.
func (w *wake) subscribe(ctx context.Context) bool {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return false
	}
	started := w.pubsub == nil
	if started {
		pubsub := w.l.rdb.Subscribe(context.WithoutCancel(ctx)) // to nothing yet: that does not dial
		w.pubsub = pubsub
		w.stopped.Go(func() {
			// A server that hangs holds this for seconds, and nobody who needs w.mu.
			// Who listens repeats what failed.
			_ = pubsub.Subscribe(context.WithoutCancel(ctx), w.l.wakeBase+w.l.instance)
			w.listen(pubsub.ChannelWithSubscriptions())
		})
	}
	w.mu.Unlock()
	if !started {
		select {
		case <-w.ready:
			return false
		default:
		}
	}
	patience := time.NewTimer(w.l.nodeTimeout)
	defer patience.Stop()
	select {
	case <-w.ready:
	case <-ctx.Done():
	case <-patience.C:
		if started {
			w.l.logger.LogAttrs(ctx, slog.LevelWarn, "cannot subscribe, waiters of busy locks poll")
		}
		return false
	}
	return true
}

func (w *wake) listen(messages <-chan any) {
	once := sync.OnceFunc(func() { close(w.ready) })
	for m := range messages {
		switch m := m.(type) {
		case *redis.Subscription:
			once()
			w.all() // messages may have been lost while it was down
		case *redis.Message:
			kind, owner, _ := strings.Cut(m.Payload, "|")
			switch kind {
			case "go":
				w.one(owner)
			case "lost":
				w.l.mu.Lock()
				k := w.l.held[owner]
				w.l.mu.Unlock()
				if k != nil {
					k.lose(Taken)
				}
			}
		}
	}
}

func (w *wake) one(owner string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	signal(w.waiters[owner])
}

func (w *wake) all() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.waiters {
		signal(ch)
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // nobody, or woken already
	}
}

func (w *wake) stop() {
	w.mu.Lock()
	pubsub := w.pubsub
	w.closed = true
	w.mu.Unlock()
	w.all()
	if pubsub == nil {
		return
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = pubsub.Close() // waits for a dial that go-redis cannot break off
		w.stopped.Wait()
	}()
	patience := time.NewTimer(w.l.nodeTimeout)
	defer patience.Stop()
	select {
	case <-over:
	case <-patience.C: // the server hangs; it ends with go-redis' own timeouts
	}
}
