package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Invalidate purges m after an unsafe request. If Redis is away, m is pending: a goroutine
// retries until it is written, and [Store.Lookup] fails for its buckets until then. Unlike
// Purge it runs inside a request, so it does not wait for a Redis that is known to be down.
// Errors go to [Settings.Failed].
func (s *Store) Invalidate(ctx context.Context, m Mark) {
	left, err := s.markReachable(ctx, m.logs, m.fields)
	if err != nil { // if nothing is left, replicas have not confirmed it
		s.set.Failed(ctx, Wrap("invalidate", err))
	}
	if len(left) == 0 {
		return
	}
	s.forgetNear(m.fields)
	s.pending.add(left, m.fields)
	s.Background(s.retry)
}

// markReachable marks the logs whose nodes are not known to be down, in one
// round trip to each, and returns those that are not marked.
func (s *Store) markReachable(ctx context.Context, logs, fields []string) (left []string, err error) {
	calls, refused := s.nodes.AllowAll(logs)
	var sent []string
	for _, call := range calls {
		sent = append(sent, call.Keys...)
	}
	if left = refused; len(refused) > 0 {
		err = unavailable.Err
	}
	if len(sent) == 0 {
		return left, err
	}
	errs, err2 := s.markEach(ctx, sent, fields)
	for _, call := range calls {
		var first error
		for _, log := range call.Keys {
			if e := errs[log]; e != nil {
				left = append(left, log)
				if first == nil {
					first = e
				}
			}
		}
		if len(calls) > 1 && errors.Is(first, bounded.ErrAbandoned) {
			first = context.Canceled // of which node is not known
		}
		s.report(ctx, call.Call, first)
	}
	return left, errors.Join(err, err2)
}

// retryEvery is the pause between attempts to write what is pending.
const retryEvery = 500 * time.Millisecond

// retry writes what is pending, until all of it is written or the store is closed. One
// goroutine does.
func (s *Store) retry(ctx context.Context) {
	s.pending.mu.Lock()
	already := s.pending.running
	s.pending.running = true
	s.pending.mu.Unlock()
	if already {
		return
	}
	for {
		waiting := s.pending.logs()
		if len(waiting) == 0 {
			return
		}
		for _, log := range waiting { // a node that is away holds up no other
			fields, last := s.pending.of(log)
			if left, _ := s.markReachable(ctx, []string{log}, fields); len(left) == 0 {
				s.pending.written(log, last)
			}
		}
		if !s.pending.any() {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryEvery):
		}
	}
}

var errPending = fmt.Errorf("%w: an invalidation is still to be written", unavailable.Err)
