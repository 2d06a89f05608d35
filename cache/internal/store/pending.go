package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// writePurge writes the marks, or keeps the marks for later if Redis is away. Unlike Purge this
// holds up a client, so it does not wait for a Redis that is known to be down.
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

// pending are marks that could not be written. Until they are, this instance
// serves nothing from their buckets.
type pending struct {
	mu      sync.Mutex
	fields  map[string][]string // by log
	whole   map[string]bool     // logs with too many: everything is purged
	running bool
}

const maxPending = 1000 // of one log

func (p *pending) add(logs, fields []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fields == nil {
		p.fields, p.whole = map[string][]string{}, map[string]bool{}
	}
	for _, log := range logs {
		for _, field := range fields {
			if !slices.Contains(p.fields[log], field) {
				p.fields[log] = append(p.fields[log], field)
			}
		}
		if len(p.fields[log]) > maxPending {
			p.fields[log], p.whole[log] = nil, true
		}
	}
}

func (p *pending) has(log string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.fields[log]) > 0 || p.whole[log]
}

// logs returns those with marks. If there are none, no goroutine writes them any more.
func (p *pending) logs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	logs := slices.AppendSeq(slices.Collect(maps.Keys(p.whole)), maps.Keys(p.fields))
	slices.Sort(logs)
	logs = slices.Compact(logs)
	p.running = len(logs) > 0
	return logs
}

// of returns the fields to mark in a log, none for all.
func (p *pending) of(log string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole[log] {
		return nil
	}
	return slices.Clone(p.fields[log])
}

func (p *pending) any() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.whole)+len(p.fields) > 0
}

func (p *pending) written(log string, fields []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fields == nil {
		delete(p.whole, log)
	}
	left := slices.DeleteFunc(p.fields[log], func(field string) bool { return fields == nil || slices.Contains(fields, field) })
	if p.fields[log] = left; len(left) == 0 {
		delete(p.fields, log)
	}
}

// retryEvery is the pause between attempts to write what is pending.
const retryEvery = 500 * time.Millisecond

// retry writes what is pending, for as long as it takes.
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
			fields := s.pending.of(log)
			if left, _ := s.markReachable(ctx, []string{log}, fields); len(left) == 0 {
				s.pending.written(log, fields)
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
