package lockmw

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// wake passes on the messages in which release.lua names the waiter whose turn
// it is. The first lock that is busy starts a subscription, at the server that
// has the lock: the shards of a Ring publish to their own subscribers only, and
// from one node of a cluster to another a message can take 40 ms.
//
// No code of the client runs while mu is held: it may block or panic.
type wake struct {
	l *Locker

	mu      sync.Mutex
	waiters map[string]chan struct{} // by owner
	feeds   map[*redis.Client]*feed  // by server; nil is the client itself
	running sync.WaitGroup
	closed  bool
}

// feed is one subscription.
type feed struct { // under wake.mu
	pubsub  *redis.PubSub // nil before it exists, or if it cannot
	settled bool          // confirmed, or late
}

func (w *wake) init(l *Locker) {
	w.l, w.waiters, w.feeds = l, map[string]chan struct{}{}, map[*redis.Client]*feed{}
}

// wait registers a waiter. It is called before the waiter asks for a place in
// the queue: a release may name it before that call returns.
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

// follow subscribes to what is published where key is, unless that has been
// done. It does not wait: whoever is registered is woken when the subscription
// is confirmed. Without one, because the ACL forbids it or Redis is slow,
// waiters poll. It returns how often: the first subscription is soon there.
func (w *wake) follow(key string) time.Duration {
	const soon, seldom = 50 * time.Millisecond, time.Second
	server, err := w.serverOf(key)
	if err != nil {
		return seldom
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.feeds[server]
	switch {
	case w.closed || f != nil && f.settled:
		return seldom
	case f == nil:
		f = &feed{}
		w.feeds[server] = f
		w.running.Go(func() { w.run(f, server) })
	}
	return soon
}

// settle ends the time in which waiters poll often.
func (w *wake) settle(f *feed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.settled = true
}

// serverOf returns the server that has key, nil for a client of only one. It
// fails if no server is known to be up. It costs no round trip: key has just been
// asked for.
func (w *wake) serverOf(key string) (*redis.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), w.l.nodeTimeout)
	defer cancel()
	return bounded.NodeOf(ctx, w.l.rdb, key)
}

func (w *wake) run(f *feed, server *redis.Client) {
	late := time.AfterFunc(w.l.nodeTimeout, func() {
		w.settle(f)
		w.polling(context.DeadlineExceeded)
	})
	defer late.Stop()
	pubsub, messages, err := w.subscribe(f, server)
	if err != nil {
		w.settle(f)
		w.polling(err)
		return // f stays: it is not tried for each waiter
	}
	if pubsub != nil {
		w.listen(messages, func() { late.Stop(); w.settle(f) })
		_ = pubsub.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.feeds, server) // its client was closed: another may have taken its place
}

// subscribe returns nothing if the Locker was closed. A client that panics
// costs its subscription only.
func (w *wake) subscribe(f *feed, server *redis.Client) (pubsub *redis.PubSub, messages <-chan any, err error) {
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
	f.pubsub = pubsub
	w.mu.Unlock()
	if closed {
		return nil, nil, pubsub.Close()
	}
	// A server that hangs holds this for seconds. What fails is repeated by the
	// channel.
	_ = pubsub.Subscribe(context.Background(), w.l.wakeBase+w.l.instance)
	return pubsub, pubsub.ChannelWithSubscriptions(), nil
}

func (w *wake) polling(err error) {
	w.l.logger.LogAttrs(context.Background(), slog.LevelWarn, "cannot subscribe, waiters of busy locks poll", slog.Any("error", err))
}

func (w *wake) listen(messages <-chan any, confirmed func()) {
	for m := range messages {
		switch m := m.(type) {
		case *redis.Subscription:
			confirmed()
			w.all() // messages may have been lost before, or while it was down
		case *redis.Message:
			kind, owner, _ := strings.Cut(m.Payload, "|")
			switch kind {
			case "go":
				w.one(owner)
			case "lost":
				w.lost(owner)
			}
		}
	}
}

// lost ends a lock beside the subscription, because hooks are called.
func (w *wake) lost(owner string) {
	w.l.mu.Lock()
	k := w.l.held[owner]
	w.l.mu.Unlock()
	if k == nil {
		return
	}
	lose := func() { k.lose(Taken) }
	if !w.l.inBackground(lose) {
		lose()
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
	default: // no such waiter, or woken already
	}
}

func (w *wake) stop() {
	w.mu.Lock()
	w.closed = true
	var open []*redis.PubSub
	for _, f := range w.feeds {
		if f.pubsub != nil {
			open = append(open, f.pubsub)
		}
	}
	w.mu.Unlock()
	w.all()
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, pubsub := range open {
			_ = pubsub.Close() // waits for a dial that go-redis cannot break off
		}
		w.running.Wait()
	}()
	patience := time.NewTimer(w.l.nodeTimeout)
	defer patience.Stop()
	select {
	case <-over:
	case <-patience.C: // the server hangs; it ends with go-redis' own timeouts
	}
}
