package connect

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Health is the state of a connection, fit for JSON and without secrets.
type Health struct {
	Conn    string        `json:"conn"`
	Mode    string        `json:"mode"`
	OK      bool          `json:"ok"`
	Latency time.Duration `json:"latency_ns"` // of the slowest node
	Nodes   []NodeHealth  `json:"nodes"`
	Stats   Stats         `json:"stats"`
	Error   string        `json:"error,omitempty"`
}

// NodeHealth is one master as it answered a PING.
type NodeHealth struct {
	Addr    string        `json:"addr"`
	OK      bool          `json:"ok"`
	Latency time.Duration `json:"latency_ns"`
	Error   string        `json:"error,omitempty"`
}

// Health pings every master once, at the same time, also while a breaker is
// open. It is OK when all answer.
func (c *Conn) Health(ctx context.Context) Health {
	h := Health{Conn: c.name, Mode: c.config.Mode.String()}
	var mu sync.Mutex
	ctx = context.WithValue(ctx, probing{}, true)
	err := c.EachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		start := time.Now()
		err := master.Ping(ctx).Err()
		n := NodeHealth{Addr: master.Options().Addr, OK: err == nil, Latency: time.Since(start)}
		if err != nil {
			n.Error = err.Error()
		}
		mu.Lock()
		defer mu.Unlock()
		h.Nodes = append(h.Nodes, n)
		h.Latency = max(h.Latency, n.Latency)
		return err
	})
	h.OK, h.Stats = err == nil, c.Stats()
	if err != nil {
		if already := (*UnavailableError)(nil); !errors.As(err, &already) {
			err = &UnavailableError{Conn: c.name, Err: err, LastDial: c.dials.lastError()}
		}
		h.Error = err.Error()
	}
	return h
}
