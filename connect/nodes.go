package connect

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/serverinfo"
)

// Node is one server of a connection, as [Conn.Nodes] found it.
type Node struct {
	// Addr is host:port or the path of a socket, as the client dials it; of a
	// replica, as its master reports it.
	Addr string `json:"addr"`
	// Role is master, replica or sentinel, or "" if it is not known.
	Role string `json:"role"`
	// Master is the address of a replica's master.
	Master string `json:"master,omitempty"`
	// Slots are the hash slots that a master of a cluster serves.
	Slots []SlotRange `json:"slots,omitempty"`
	// OK is whether the server answers; of a replica, whether its master says so.
	OK bool `json:"ok"`
	// Error says why it does not.
	Error string `json:"error,omitempty"`

	// What INFO says of a server that was asked, 0 or "" otherwise.
	// Server is the server's name, such as Redis or Valkey, and Version its own
	// version, not that of the Redis it is compatible with.
	Server        string `json:"server,omitempty"`
	Version       string `json:"version,omitempty"`
	UptimeSeconds int64  `json:"uptime_seconds,omitempty"`
	// Clients counts the connections of clients, these included.
	Clients int64 `json:"clients,omitempty"`
	// UsedMemory and MaxMemory are in bytes; a MaxMemory of 0 is no limit.
	UsedMemory int64 `json:"used_memory,omitempty"`
	MaxMemory  int64 `json:"max_memory,omitempty"`
	// Policy is the maxmemory-policy, such as noeviction or allkeys-lru.
	Policy string `json:"maxmemory_policy,omitempty"`
	// OpsPerSecond is how many commands the server has executed lately.
	OpsPerSecond int64 `json:"ops_per_second,omitempty"`
	// Hits, Misses and Evicted are counted since the server started.
	Hits    int64 `json:"keyspace_hits,omitempty"`
	Misses  int64 `json:"keyspace_misses,omitempty"`
	Evicted int64 `json:"evicted_keys,omitempty"`

	// LinkUp is whether a replica is connected to its master.
	LinkUp bool `json:"link_up,omitempty"`
	// LagBytes is how far a replica is behind its master, if both answered.
	LagBytes int64 `json:"lag_bytes,omitempty"`
	offset   int64
}

// SlotRange is a range of hash slots of a cluster, 0 to 16383, both ends
// included.
type SlotRange struct {
	From int `json:"from"` // the first slot
	To   int `json:"to"`   // the last slot
}

// Nodes asks every server of the connection about itself, concurrently and also
// while a breaker is open: the server and its replicas, the sentinels, or the
// masters and replicas of a cluster, sorted by role and address. Masters are
// sent INFO, sentinels PING; of a replica it knows what its master reports. A
// server that does not answer is listed with its error; Nodes itself fails only
// if the servers are not known, or with [ErrClosed]. It is for operators, not
// for requests. Give ctx a deadline.
func (c *Conn) Nodes(ctx context.Context) ([]Node, error) {
	if c.open.Err() != nil {
		return nil, c.errClosed()
	}
	ctx = context.WithValue(ctx, probing{}, true)
	var (
		nodes []Node
		err   error
	)
	switch rdb := c.client.(type) {
	case *redis.ClusterClient:
		nodes, err = c.clusterNodes(ctx, rdb)
	default:
		nodes, err = c.serverNodes(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("connect: nodes of %s: %w", c.name, c.explain(err))
	}
	offsets := map[string]int64{}
	for _, n := range nodes {
		offsets[n.Addr] = n.offset
	}
	for i, n := range nodes {
		if n.Role == "replica" && n.OK && offsets[n.Master] > 0 {
			nodes[i].LagBytes = max(0, offsets[n.Master]-n.offset)
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Addr, b.Addr))
	})
	return nodes, nil
}

// clusterNodes asks every master, and lists the replicas that it reports as well as
// those of masters that did not answer, which CLUSTER SLOTS knows.
func (c *Conn) clusterNodes(ctx context.Context, rdb *redis.ClusterClient) ([]Node, error) {
	//lint:ignore SA1019 CLUSTER SHARDS needs Redis 7, and not all managed services have it
	shards, err := rdb.ClusterSlots(ctx).Result()
	if err != nil {
		return nil, err
	}
	slots := map[string][]SlotRange{}
	masters := map[string]string{}
	for _, s := range shards {
		for i, n := range s.Nodes {
			if i == 0 {
				slots[n.Addr] = append(slots[n.Addr], SlotRange{s.Start, s.End})
			} else {
				masters[n.Addr] = s.Nodes[0].Addr
			}
		}
	}
	var (
		mu    sync.Mutex
		nodes []Node
	)
	// Errors are the nodes' own, so that one dead node does not hide the rest.
	err = rdb.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		own := withReplicas(ctx, c, master.Options().Addr, master)
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, own...)
		return nil
	})
	for i, n := range nodes {
		nodes[i].Slots = slots[n.Addr]
		delete(masters, n.Addr)
	}
	for addr, master := range masters {
		nodes = append(nodes, Node{Addr: addr, Role: "replica", Master: master, Error: "unknown: its master did not answer"})
	}
	return nodes, err
}

// withReplicas asks a master about itself and its replicas.
func withReplicas(ctx context.Context, c *Conn, addr string, rdb interface {
	Info(ctx context.Context, sections ...string) *redis.StringCmd
},
) []Node {
	info, err := rdb.Info(ctx).Result()
	if err != nil {
		return []Node{{Addr: addr, Role: "master", Error: c.explain(err).Error()}}
	}
	fields := infoFields(info)
	nodes := []Node{fields.node(addr)}
	for i := range 64 { // slave0:ip=10.0.0.2,port=6379,state=online,offset=12,lag=0
		replica, ok := fields["slave"+strconv.Itoa(i)]
		if !ok {
			break
		}
		nodes = append(nodes, replicaOf(addr, replica))
	}
	return nodes
}

// serverNodes are those of Standalone, Sentinel and Embedded.
func (c *Conn) serverNodes(ctx context.Context) ([]Node, error) {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		nodes []Node
	)
	add := func(n Node) {
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, n)
	}
	addr := cmp.Or(c.config.Socket, strings.Join(c.config.Addrs, ","))
	switch {
	case c.isFailoverClient():
		addr = c.failoverMaster(ctx)
	case c.config.Mode == Sentinel:
		for _, addr := range c.config.Addrs {
			wg.Go(func() { add(c.askSentinel(ctx, addr)) })
		}
		var err error
		if addr, err = c.masterAddr(ctx); err != nil {
			wg.Wait()
			return nil, err
		}
	}
	own := withReplicas(ctx, c, addr, c.client)
	wg.Wait()
	return append(nodes, own...), nil
}

// askSentinel pings one sentinel.
func (c *Conn) askSentinel(ctx context.Context, addr string) Node {
	sentinel := c.sentinel(addr)
	defer sentinel.Close()
	n := Node{Addr: addr, Role: "sentinel"}
	if err := sentinel.Ping(ctx).Err(); err != nil {
		n.Error = c.explain(err).Error()
		return n
	}
	n.OK = true
	return n
}

// replicaOf reads what a master reports of a replica, which may not be reachable
// from here.
func replicaOf(master, line string) Node {
	f := fields{}
	for pair := range strings.SplitSeq(line, ",") {
		name, value, _ := strings.Cut(pair, "=")
		f[name] = value
	}
	n := Node{Addr: net.JoinHostPort(f["ip"], f["port"]), Role: "replica", Master: master, offset: f.int("offset")}
	n.OK = f["state"] == "online"
	n.LinkUp = n.OK
	if !n.OK {
		n.Error = "its master reports it as " + f["state"]
	}
	return n
}

// fields are the name:value lines of INFO.
type fields map[string]string

// infoFields reads the reply of INFO.
func infoFields(info string) fields {
	f := fields{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f[name] = value
		}
	}
	return f
}

// int returns a number, 0 for a field that is absent or none.
func (f fields) int(name string) int64 {
	n, _ := strconv.ParseInt(f[name], 10, 64)
	return n
}

// node is what a server says of itself.
func (f fields) node(addr string) Node {
	server := serverinfo.Of(f)
	n := Node{
		Addr: addr, Role: "master", OK: true, Server: server.Name, Version: server.Version,
		UptimeSeconds: f.int("uptime_in_seconds"), Clients: f.int("connected_clients"),
		UsedMemory: f.int("used_memory"), MaxMemory: f.int("maxmemory"), Policy: f["maxmemory_policy"],
		OpsPerSecond: f.int("instantaneous_ops_per_sec"), Hits: f.int("keyspace_hits"), Misses: f.int("keyspace_misses"),
		Evicted: f.int("evicted_keys"), offset: f.int("master_repl_offset"),
	}
	if f["role"] == "slave" {
		n.Role, n.Master = "replica", net.JoinHostPort(f["master_host"], f["master_port"])
		n.LinkUp, n.offset = f["master_link_status"] == "up", f.int("slave_repl_offset")
	}
	return n
}
