//go:build unix

package redistest

import (
	"context"
	"maps"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Counter counts what a client sends: a command or a pipeline is one round
// trip, however many nodes it reaches. The handshake of a connection does not
// count.
type Counter struct {
	mu       sync.Mutex
	trips    int
	commands map[string]int
}

// Count adds a counter to rdb.
func Count(rdb redis.UniversalClient) *Counter {
	c := &Counter{commands: map[string]int{}}
	rdb.AddHook(c)
	return c
}

var handshake = map[string]bool{"hello": true, "auth": true, "select": true, "client": true, "readonly": true}

func (c *Counter) add(cmds ...redis.Cmder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counted := false
	for _, cmd := range cmds {
		if handshake[cmd.Name()] {
			continue
		}
		counted = true
		c.commands[cmd.Name()]++
	}
	if counted {
		c.trips++
	}
}

// Trips is the number of round trips since the start or the last Reset.
func (c *Counter) Trips() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trips
}

// Commands counts by command name, in lower case.
func (c *Counter) Commands() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.commands)
}

// Reset starts again from zero.
func (c *Counter) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips, c.commands = 0, map[string]int{}
}

// DialHook implements [redis.Hook].
func (c *Counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements [redis.Hook].
func (c *Counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.add(cmd)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (c *Counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.add(cmds...)
		return next(ctx, cmds)
	}
}
