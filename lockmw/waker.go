package lockmw

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// waker wakes the waiters that a release names. The first lock that is busy
// starts a subscription, at the server that has the lock: the shards of a Ring
// publish to their own subscribers only, and from one node of a cluster to
// another a message can take 40 ms.
//
// No code of the client runs while mu is held: it may block or panic.
type waker struct {
	l *Locker

	mu            sync.Mutex
	waiters       map[string]chan struct{}        // by owner
	subscriptions map[*redis.Client]*subscription // by server; nil is the client itself
	running       sync.WaitGroup
	closed        bool
}

// subscription is one at a server; its fields are under waker.mu.
type subscription struct {
	pubsub  *redis.PubSub // nil before it exists, or if it cannot
	settled bool          // confirmed, or given up for now
}

// init is for a zero waker, which is part of a Locker.
func (w *waker) init(l *Locker) {
	w.l, w.waiters, w.subscriptions = l, map[string]chan struct{}{}, map[*redis.Client]*subscription{}
}

// register registers a waiter, before it asks for a place in the queue: a
// release may name it before that call returns.
func (w *waker) register(owner string) (woken <-chan struct{}, unregister func()) {
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

// follow subscribes at the server that has key, unless that is done. It does not
// wait: all registered waiters are woken when the subscription is confirmed.
// Without one, because the ACL forbids it or Redis is slow, waiters poll. It
// returns how often to: a new subscription is confirmed soon.
func (w *waker) follow(key string) time.Duration {
	const soon, seldom = 50 * time.Millisecond, time.Second
	server, err := w.serverOf(key)
	if err != nil {
		return seldom
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.subscriptions[server]
	switch {
	case w.closed || s != nil && s.settled:
		return seldom
	case s == nil:
		s = &subscription{}
		w.subscriptions[server] = s
		w.running.Go(func() { w.run(s, server) })
	}
	return soon
}

// serverOf returns the server that has key, nil for a client of a single one. It
// fails if no server is known to be up. It costs no round trip: a call for key
// was just made.
func (w *waker) serverOf(key string) (*redis.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), w.l.timeout)
	defer cancel()
	return bounded.NodeOf(ctx, w.l.rdb, key)
}

// run subscribes and delivers messages until the subscription ends. A subscription
// that is not confirmed in time is not given up: waiters poll until it is there.
func (w *waker) run(s *subscription, server *redis.Client) {
	late := time.AfterFunc(w.l.timeout, func() {
		w.settle(s)
		w.logPolling(context.DeadlineExceeded)
	})
	defer late.Stop()
	pubsub, messages, err := w.subscribe(s, server)
	if err != nil {
		w.settle(s)
		w.logPolling(err)
		return // s stays: it is not tried for each waiter
	}
	if pubsub != nil {
		w.listen(messages, func() { late.Stop(); w.settle(s) })
		_ = pubsub.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.subscriptions, server) // its client was closed: another may have taken its place
}

// settle ends the time in which waiters poll often.
func (w *waker) settle(s *subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.settled = true
}

// subscribe returns nothing if the Locker was closed. A client that panics
// costs its subscription only.
func (w *waker) subscribe(s *subscription, server *redis.Client) (pubsub *redis.PubSub, messages <-chan any, err error) {
	defer func() {
		if p := recover(); p != nil {
			pubsub, messages, err = nil, nil, fmt.Errorf("subscribe: panic: %v", p)
		}
	}()
	if server != nil {
		pubsub = server.Subscribe(context.Background()) // to nothing yet: that does not dial
	} else {
		pubsub = w.l.rdb.Subscribe(context.Background())
	}
	w.mu.Lock()
	closed := w.closed
	s.pubsub = pubsub
	w.mu.Unlock()
	if closed {
		return nil, nil, pubsub.Close()
	}
	// A server that hangs holds this up for seconds. The channel repeats what fails.
	_ = pubsub.Subscribe(context.Background(), w.l.wakeChannel())
	return pubsub, pubsub.ChannelWithSubscriptions(), nil
}

// logPolling says that waiters are served later than they could be.
func (w *waker) logPolling(err error) {
	w.l.logger.LogAttrs(context.Background(), slog.LevelWarn, "cannot subscribe, waiters of busy locks poll", slog.Any("error", err))
}

// listen delivers messages until the subscription is closed. go-redis repeats a
// subscription whose connection broke, and reports each one.
func (w *waker) listen(messages <-chan any, confirmed func()) {
	for m := range messages {
		switch m := m.(type) {
		case *redis.Subscription:
			confirmed()
			w.wakeAll() // messages may have been lost before, or while it was down
		case *redis.Message:
			switch what, owner := parseWake(m.Payload); what {
			case "go":
				w.wake(owner)
			case "lost":
				w.lose(owner)
			}
		}
	}
}

// lose ends a lock that was taken from this process. It does so in the
// background, because hooks are called.
func (w *waker) lose(owner string) {
	w.l.mu.Lock()
	k := w.l.held[owner]
	w.l.mu.Unlock()
	if k == nil {
		return
	}
	lose := func() { k.lose(lockerr.ErrTaken) }
	if !w.l.inBackground(lose) {
		lose()
	}
}

// wake wakes the waiter that a release named.
func (w *waker) wake(owner string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	signal(w.waiters[owner])
}

// wakeAll wakes all waiters, each of which then makes an attempt.
func (w *waker) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.waiters {
		signal(ch)
	}
}

// signal does not block: a waiter that was woken twice makes one attempt.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // there is no such waiter, or it was woken before
	}
}

// stop ends the subscriptions, and wakes all waiters.
func (w *waker) stop() {
	w.mu.Lock()
	w.closed = true
	var open []*redis.PubSub
	for _, s := range w.subscriptions {
		if s.pubsub != nil {
			open = append(open, s.pubsub)
		}
	}
	w.mu.Unlock()
	w.wakeAll()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, pubsub := range open {
			_ = pubsub.Close() // waits for a dial that go-redis cannot interrupt
		}
		w.running.Wait()
	}()
	deadline := time.NewTimer(w.l.timeout)
	defer deadline.Stop()
	select {
	case <-ended:
	case <-deadline.C: // the server hangs; it ends with go-redis' own timeouts
	}
}
