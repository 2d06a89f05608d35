package lockmw

import (
	"context"
	"sync"
)

// lines keep the waiters of one process in order of arrival; the first of each
// key contends in Redis for all.
type lines struct {
	mu   sync.Mutex
	keys map[string][]chan struct{}
}

// enter waits until the caller is first in line for key.
func (ls *lines) enter(ctx context.Context, key string) (leave func(), err error) {
	turn := make(chan struct{})
	ls.mu.Lock()
	if ls.keys == nil {
		ls.keys = map[string][]chan struct{}{}
	}
	line := append(ls.keys[key], turn)
	ls.keys[key] = line
	if len(line) == 1 {
		close(turn)
	}
	ls.mu.Unlock()
	select {
	case <-turn:
		return func() { ls.leave(key, turn) }, nil
	case <-ctx.Done():
		ls.leave(key, turn)
		return nil, ctx.Err()
	}
}

func (ls *lines) leave(key string, turn chan struct{}) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	line := ls.keys[key]
	for i, other := range line {
		if other != turn {
			continue
		}
		line = append(line[:i:i], line[i+1:]...)
		if i == 0 && len(line) > 0 {
			close(line[0])
		}
		break
	}
	if len(line) == 0 {
		delete(ls.keys, key)
		return
	}
	ls.keys[key] = line
}
