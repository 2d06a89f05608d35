package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// recheck is how often a room looks for messages although no bell was heard,
// for a bell can be lost.
const recheck = 2 * time.Second

// room has the newest messages of a stream in memory, for all clients of this
// instance together. No client has a buffer of its own, and none can hold the
// reader up: who falls behind what is kept here goes on from the stream.
type room struct {
	*stream
	keep   int
	logger *slog.Logger
	rung   chan struct{}

	mu    sync.Mutex
	log   []message // in order; what was handed out is never written to again
	floor id        // log has all that the stream had after it
	last  id
	grown chan struct{} // closed when the log has grown
}

func newRoom(s *stream, keep int, logger *slog.Logger) *room {
	return &room{stream: s, keep: keep, logger: logger, rung: make(chan struct{}, 1), grown: make(chan struct{})}
}

// ring has the room look for messages. It does not block.
func (r *room) ring() {
	select {
	case r.rung <- struct{}{}:
	default:
	}
}

// fill reads what is kept for the first time: one more, which is the floor.
func (r *room) fill(ctx context.Context) error {
	messages, err := r.newest(ctx, r.keep+1)
	if err != nil {
		return err
	}
	r.grow(messages)
	return nil
}

// read keeps up with the stream until ctx ends.
func (r *room) read(ctx context.Context) {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	failing := false
	for {
		err := r.catchUp(ctx)
		if ctx.Err() != nil {
			return
		}
		if failed := err != nil; failed != failing {
			failing = failed
			if failed {
				r.logger.LogAttrs(ctx, slog.LevelWarn, "room cannot be read", slog.String("room", r.room), slog.String("cause", err.Error()))
			} else {
				r.logger.LogAttrs(ctx, slog.LevelInfo, "room is read again", slog.String("room", r.room))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-r.rung:
		case <-tick.C:
		}
	}
}

func (r *room) catchUp(ctx context.Context) error {
	for {
		messages, err := r.after(ctx, r.seen())
		if err != nil {
			return err
		}
		r.grow(messages)
		if len(messages) < batch {
			return nil
		}
	}
}

func (r *room) grow(messages []message) {
	if len(messages) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, messages...)
	r.last = messages[len(messages)-1].id
	if surplus := len(r.log) - r.keep; surplus > 0 {
		r.floor = r.log[surplus-1].id
		r.log = r.log[surplus:]
	}
	close(r.grown)
	r.grown = make(chan struct{})
}

// seen is the id of the last message that was read.
func (r *room) seen() id {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// since returns the messages after an id, and what is closed when there are
// more. ok is false when the log does not reach back to it.
func (r *room) since(after id) (messages []message, grown <-chan struct{}, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if after.compare(r.floor) < 0 {
		return nil, nil, false
	}
	from, found := r.search(after)
	if found {
		from++
	}
	return r.log[from:len(r.log):len(r.log)], r.grown, true
}

// tail is where a client begins who has seen nothing and is shown n messages.
func (r *room) tail(n int) id {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.log) <= n {
		return r.floor
	}
	return r.log[len(r.log)-n-1].id
}

// has reports whether a message is, or was just now, in the log.
func (r *room) has(at id) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := r.search(at)
	return found || at == r.floor && at != id{}
}

func (r *room) search(at id) (int, bool) {
	return slices.BinarySearchFunc(r.log, at, func(m message, at id) int { return m.id.compare(at) })
}
