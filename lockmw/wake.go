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
// it is. A process has one subscription, started by the first lock that is
// busy; with a Ring it has one for each shard that has such a lock, because a
// shard publishes what happens on it to its own subscribers only.
//
// No code of the client runs while mu is held: it may block or panic.
type wake struct {
	l *Locker

	mu      sync.Mutex
	waiters map[string]chan struct{} // by owner
	feeds   map[*redis.Client]*feed  // by shard; nil is the client itself
	running sync.WaitGroup
	closed  bool
}

// feed is one subscription.
type feed struct {
	pubsub *redis.PubSub // under wake.mu; nil before it exists, or if it cannot
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
// waiters poll.
func (w *wake) follow(key string) {
	shard, ok := w.shardOf(key)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.feeds[shard] != nil {
		return
	}
	f := &feed{}
	w.feeds[shard] = f
	w.running.Go(func() { w.run(f, shard) })
}

// sharded is what a [redis.Ring] has, which asks several servers that know
// nothing of each other.
type sharded interface {
	GetShardClientForKey(key string) (*redis.Client, error)
}

// shardOf returns the server of key, nil for a client that has only one place
// to subscribe at. It is false if no server is up.
func (w *wake) shardOf(key string) (*redis.Client, bool) {
	ring, ok := bounded.Unwrap(w.l.rdb).(sharded)
	if !ok {
		return nil, true
	}
	shard, err := ring.GetShardClientForKey(key)
	return shard, err == nil
}

func (w *wake) run(f *feed, shard *redis.Client) {
	pubsub, messages, err := w.subscribe(f, shard)
	if err != nil {
		w.polling(err)
		return // f stays: it is not tried for each waiter
	}
	if pubsub != nil {
		w.listen(messages)
		_ = pubsub.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.feeds, shard) // a client that was closed; a Ring may have replaced the shard
}

// subscribe returns nothing if the Locker was closed. A client that panics
// costs its subscription only.
func (w *wake) subscribe(f *feed, shard *redis.Client) (pubsub *redis.PubSub, messages <-chan any, err error) {
	defer func() {
		if p := recover(); p != nil {
			pubsub, messages, err = nil, nil, fmt.Errorf("subscribe: panic: %v", p)
		}
	}()
	if shard != nil {
		pubsub = shard.Subscribe(context.Background()) // to nothing yet: that does not dial
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

func (w *wake) listen(messages <-chan any) {
	late := time.AfterFunc(w.l.nodeTimeout, func() { w.polling(context.DeadlineExceeded) })
	defer late.Stop()
	for m := range messages {
		switch m := m.(type) {
		case *redis.Subscription:
			late.Stop()
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
