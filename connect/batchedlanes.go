package connect

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

const (
	// batchCommands and batchBytes are how much a batch takes: what is behind a call
	// waits for it. A group of commands is never divided.
	batchCommands = 200
	batchBytes    = 128 << 10
	// batchSenders is how many batches of a lane may be under way: while Redis works
	// on one, the next is written. More gain nothing.
	batchSenders = 2
	// batchYields is how often a sender lets other goroutines run before it takes a
	// batch: the callers whose replies have come call again at once, and so join it.
	// Without, throughput was 20 to 40 % lower.
	batchYields = 3
)

// lanes send calls together. Each node of a cluster has a lane of its own, so that
// one that hangs delays no call for another. On the other topologies there is one
// lane.
type lanes struct {
	conn *Conn

	mu     sync.Mutex
	busy   map[*redis.Client]*lane // those with calls; the key is the node's client, nil for one server
	closed bool
	live   sync.WaitGroup // the senders
}

// lane has the batches that wait for a sender. The last one is open for more.
type lane struct {
	waiting []*batch
	senders int
}

// batch is calls that are sent together, in their order.
type batch struct {
	cmds     []redis.Cmder // nil where a caller has left before the batch was taken
	bytes    int
	deadline time.Time     // the latest of the callers', zero if one has none
	taken    bool          // by a sender; callers that leave now leave their commands behind
	done     chan struct{} // closed when all commands have their outcome
}

// ticket is a call's place in a batch; without a batch it has none.
type ticket struct {
	batch   *batch
	from, n int
}

// join queues cmds, all for the same node, for the next batch. It reports false
// after close.
func (s *lanes) join(ctx context.Context, node *redis.Client, bytes int, cmds ...redis.Cmder) (ticket, bool) {
	deadline, _ := ctx.Deadline()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ticket{}, false
	}
	l := s.busy[node]
	if l == nil {
		l = &lane{}
		s.busy[node] = l
	}
	open := l.open(len(cmds), bytes, deadline)
	t := ticket{batch: open, from: len(open.cmds), n: len(cmds)}
	open.cmds = append(open.cmds, cmds...)
	if l.senders < batchSenders {
		l.senders++
		s.live.Go(func() { s.send(node, l) })
	}
	return t, true
}

// open returns a batch that has room for n commands.
func (l *lane) open(n, bytes int, deadline time.Time) *batch {
	if last := len(l.waiting) - 1; last >= 0 {
		open := l.waiting[last]
		if len(open.cmds)+n <= batchCommands && open.bytes+bytes <= batchBytes {
			open.bytes += bytes
			if deadline.IsZero() || !open.deadline.IsZero() && deadline.After(open.deadline) {
				open.deadline = deadline
			}
			return open
		}
	}
	open := &batch{cmds: make([]redis.Cmder, 0, max(n, 16)), bytes: bytes, deadline: deadline, done: make(chan struct{})}
	l.waiting = append(l.waiting, open)
	return open
}

// leave takes the commands of a caller back. Those that a sender has taken belong to
// their batch.
func (s *lanes) leave(tickets ...ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tickets {
		if t.batch != nil && !t.batch.taken {
			clear(t.batch.cmds[t.from : t.from+t.n])
		}
	}
}

// send sends the batches of a lane, one after the other, until none waits.
func (s *lanes) send(node *redis.Client, l *lane) {
	for {
		for range batchYields {
			runtime.Gosched()
		}
		next := s.take(node, l)
		if next == nil {
			return
		}
		s.exec(next)
	}
}

// take is the batch that has waited longest, or nil: then the sender has ended.
func (s *lanes) take(node *redis.Client, l *lane) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(l.waiting) == 0 {
		if l.senders--; l.senders == 0 {
			delete(s.busy, node)
		}
		return nil
	}
	next := l.waiting[0]
	l.waiting = l.waiting[1:]
	next.taken = true
	return next
}

// exec sends a batch as a pipeline, which ends with the last of its callers' contexts
// or with the read timeout.
func (s *lanes) exec(next *batch) {
	defer close(next.done)
	cmds := next.cmds[:0]
	for _, cmd := range next.cmds {
		if cmd != nil {
			cmds = append(cmds, cmd)
		}
	}
	if len(cmds) == 0 {
		return
	}
	defer func() {
		if r := recover(); r != nil { // in a hook: no caller is there to recover
			s.conn.logger.Error("panic while a batch was sent", slog.String("conn", s.conn.name), slog.Any("panic", r))
			_ = failAll(cmds, fmt.Errorf("connect: panic in a batch: %v", r))
		}
	}()
	ctx := context.Background()
	if !next.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, next.deadline)
		defer cancel()
	}
	bounded.Exec(ctx, s.conn.client.Pipeline(), cmds)
}

// close rejects later calls and waits for those that are queued, or until ctx ends.
func (s *lanes) close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.live.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
