package main

import (
	"context"
	"errors"
	"time"
)

const (
	firstShown = 50 // messages that somebody new is shown
	heartbeat  = 15 * time.Second
	// longestReplay bounds how much of the stream one connection is sent from
	// Redis. It is more than the default -history.
	longestReplay = 50 * batch
)

// errBehind ends a connection that has not kept up. The client comes back with
// the last id that it has got and loses nothing; meanwhile what others are sent
// is not kept for its sake.
var errBehind = errors.New("chat: the client is behind, it may come back")

// client is a connection of either kind. Each method gives up by itself when the
// client does not take what it is sent.
type client interface {
	send(ctx context.Context, messages []message) error
	// gap says that messages may be missing here: the stream no longer has the
	// one that the client saw last.
	gap(ctx context.Context) error
	// beat keeps proxies from closing a silent connection, and finds out whether
	// anybody is there.
	beat(ctx context.Context) error
}

// follow sends a client all messages after the last that it has seen, nil if it
// has seen none, each once and in order, until ctx ends.
func (r *room) follow(ctx context.Context, after *id, c client) error {
	at, err := r.begin(ctx, after, c)
	if err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		messages, grown, ok := r.since(at)
		switch {
		case !ok:
			return errBehind
		case len(messages) > 0:
			if err := c.send(ctx, messages); err != nil {
				return err
			}
			at = messages[len(messages)-1].id
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		case <-beat.C:
			if err := c.beat(ctx); err != nil {
				return err
			}
		}
	}
}

// begin finds where the client goes on, and brings it from there to what is in
// memory.
func (r *room) begin(ctx context.Context, after *id, c client) (id, error) {
	if after == nil {
		return r.tail(firstShown), nil
	}
	at := *after
	if r.has(at) {
		return at, nil
	}
	// It may be older than what is kept, or another instance was faster than
	// this one. Or it is not there: trimmed, lost in a failover, or made up.
	found, last, err := r.find(ctx, at)
	if err != nil {
		return id{}, err
	}
	if !found && at != (id{}) {
		if err := c.gap(ctx); err != nil {
			return id{}, err
		}
		if read := r.seen(); at.compare(last) > 0 { // it saw all there is, and something that is gone
			at = latest(last, earliest(at, read))
		}
	}
	for sent := 0; sent < longestReplay; {
		if _, _, ok := r.since(at); ok {
			return at, nil
		}
		messages, err := r.after(ctx, at)
		if err != nil {
			return id{}, err
		}
		if len(messages) == 0 { // the stream was lost; what is in memory is all there is, and all of it later
			return r.tail(r.keep), nil
		}
		if err := c.send(ctx, messages); err != nil {
			return id{}, err
		}
		sent += len(messages)
		at = messages[len(messages)-1].id
	}
	return id{}, errBehind
}
