package connect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/serverinfo"
)

// Health is whether a connection works now, fit for JSON and without secrets.
// It names addresses, so show it to operators only.
type Health struct {
	// Conn is the name of the connection.
	Conn string `json:"conn"`
	// Mode is the topology, see [Mode.String].
	Mode string `json:"mode"`
	// OK reports whether every master serves, see [Conn.Health].
	OK bool `json:"ok"`
	// Latency is that of the slowest master, with the time to dial it.
	Latency time.Duration `json:"latency_ns"`
	// Nodes are the masters, sorted by address.
	Nodes []NodeHealth `json:"nodes"`
	// Stats are the counters at the end of the check.
	Stats Stats `json:"stats"`
	// Error says why the connection is not OK. It holds no secret.
	Error string `json:"error,omitempty"`
}

// NodeHealth is how one master answered a PING.
type NodeHealth struct {
	// Addr is host:port or the path of a socket.
	Addr string `json:"addr"`
	// Server and Version are the server's own name and version, such as Valkey and
	// 9.1.2, or "" if it did not answer or the user may not call INFO.
	Server  string `json:"server,omitempty"`
	Version string `json:"version,omitempty"`
	// OK reports whether it answered, and as a master.
	OK bool `json:"ok"`
	// Latency is that of the check, one round trip, with the time to dial.
	Latency time.Duration `json:"latency_ns"`
	// Error says why the node is not OK. It holds no secret.
	Error string `json:"error,omitempty"`
}

// Health pings every master once, concurrently and also while a breaker is open.
// The connection is OK if all answer as masters and a cluster serves all slots.
// From the start of [Conn.Close] it is not OK, and Health returns at once.
func (c *Conn) Health(ctx context.Context) Health {
	h := Health{Conn: c.name, Mode: c.config.Mode.String()}
	var mu sync.Mutex
	ctx = context.WithValue(ctx, probing{}, true)
	err := c.EachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		start := time.Now()
		server, err := c.examine(ctx, master)
		n := NodeHealth{
			Addr: master.Options().Addr, Server: server.Name, Version: server.Version,
			OK: err == nil, Latency: time.Since(start),
		}
		switch { // a failover client has no address of its own
		case c.isFailoverClient():
			n.Addr = c.failoverMaster(ctx)
		case c.config.Mode == Sentinel:
			n.Addr = c.dials.master()
		}
		if err != nil {
			n.Error = err.Error()
		}
		mu.Lock()
		defer mu.Unlock()
		h.Nodes = append(h.Nodes, n)
		h.Latency = max(h.Latency, n.Latency)
		return err
	})
	if c.open.Err() != nil {
		err = c.errClosed()
	}
	h.OK, h.Stats = err == nil, c.Stats()
	if err != nil {
		if already := (*UnavailableError)(nil); !errors.As(err, &already) && !errors.Is(err, ErrClosed) {
			err = c.unavailable(err)
		}
		h.Error = err.Error()
	}
	slices.SortFunc(h.Nodes, func(a, b NodeHealth) int { return cmp.Compare(a.Addr, b.Addr) })
	return h
}

// examine checks one master, in one round trip.
func (c *Conn) examine(ctx context.Context, master *redis.Client) (serverinfo.Server, error) {
	pipe := master.Pipeline()
	ping := pipe.Ping(ctx)
	var state func() error
	if c.config.Mode == Cluster {
		info := pipe.ClusterInfo(ctx)
		state = func() error { return clusterState(info) }
	} else {
		role := pipe.Do(ctx, "role") // without permission, or embedded, PING must do
		state = func() error { return masterRole(role) }
	}
	server := pipe.Info(ctx, "server")
	_, _ = pipe.Exec(ctx) // ROLE and INFO may be forbidden; what matters stands in the commands
	if err := ping.Err(); err != nil {
		return serverinfo.Server{}, err
	}
	return serverinfo.Of(infoFields(server.Val())), state()
}

// clusterState reads CLUSTER INFO. A user without the permission for it gets no
// error here: the PING was answered.
func clusterState(info *redis.StringCmd) error {
	if info.Err() == nil && !strings.Contains(info.Val(), "cluster_state:ok") {
		return errors.New("the cluster is not in state ok")
	}
	return nil
}

// masterRole reads ROLE: a replica answers a PING as well, and rejects writes.
func masterRole(role *redis.Cmd) error {
	if reply, err := role.Slice(); err == nil && len(reply) > 0 && reply[0] == "slave" {
		return errors.New("a replica answers, not a master")
	}
	return nil
}
