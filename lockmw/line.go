package lockmw

import (
	"context"
	"sync"
)

// lines keep the waiters of one process in order of arrival; the first of each
// key takes over from a holder of the process, or contends in Redis for all.
type lines struct {
	mu   sync.Mutex
	keys map[string][]*place
}

// place is one in a line.
type place struct {
	turn chan struct{} // closed when it is the first
	gift chan handed   // of capacity 1
	// Under lines.mu: a gift is there, or it is in Redis that this one waits.
	given, asking bool
}

// enter waits until the caller is first in line for key. leave must be called
// in any case. A place that is left may have been given the lock: see withdraw.
func (ls *lines) enter(ctx context.Context, key string) (p *place, leave func(), err error) {
	p = &place{turn: make(chan struct{}), gift: make(chan handed, 1)}
	ls.mu.Lock()
	if ls.keys == nil {
		ls.keys = map[string][]*place{}
	}
	line := append(ls.keys[key], p)
	ls.keys[key] = line
	if len(line) == 1 {
		close(p.turn)
	}
	ls.mu.Unlock()
	leave = func() { ls.leave(key, p) }
	select {
	case <-p.turn:
		return p, leave, nil
	case <-ctx.Done():
		return p, leave, ctx.Err()
	}
}

func (ls *lines) leave(key string, p *place) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	line := ls.keys[key]
	for i, other := range line {
		if other != p {
			continue
		}
		line = append(line[:i:i], line[i+1:]...)
		if i == 0 && len(line) > 0 {
			close(line[0].turn)
		}
		break
	}
	if len(line) == 0 {
		delete(ls.keys, key)
		return
	}
	ls.keys[key] = line
}

// give gives to the first in line, unless it waits in Redis.
func (ls *lines) give(key string, h handed) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	line := ls.keys[key]
	if len(line) == 0 || line[0].asking || line[0].given {
		return false
	}
	line[0].given = true
	line[0].gift <- h
	return true
}

// withdraw has p wait in Redis from now on. It returns what p was given before.
func (ls *lines) withdraw(p *place) (h handed) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if p.given {
		h = <-p.gift
	}
	p.given, p.asking = false, true
	return h
}

// Waiting is how many calls of this process wait for key.
func (l *Locker) Waiting(key string) int {
	l.lines.mu.Lock()
	defer l.lines.mu.Unlock()
	return len(l.lines.keys[key])
}
