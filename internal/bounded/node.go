package bounded

import (
	"context"
	"reflect"

	"github.com/redis/go-redis/v9"
)

// The clients that know which node serves a key. A type that embeds one of
// go-redis' clients has its methods.
type (
	// Cluster is what a [redis.ClusterClient] has.
	Cluster interface {
		MasterForKey(ctx context.Context, key string) (*redis.Client, error)
		ReloadState(ctx context.Context)
	}
	// Ring is what a [redis.Ring] has.
	Ring interface {
		GetShardClientForKey(key string) (*redis.Client, error)
	}
	// Single is what a client of one server or sentinel group has.
	Single interface{ Options() *redis.Options }
)

var (
	_ Cluster = (*redis.ClusterClient)(nil)
	_ Ring    = (*redis.Ring)(nil)
	_ Single  = (*redis.Client)(nil)
)

// NodeOf returns the client of the node that serves key: of a cluster the master
// of its slot, of a ring its shard. It is nil for a client of one server, and for
// one that does not tell. It fails if no node is known to serve key.
func NodeOf(ctx context.Context, rdb any, key string) (*redis.Client, error) {
	switch c := Unwrap(rdb).(type) {
	case Cluster:
		return c.MasterForKey(ctx, key)
	case Ring:
		return c.GetShardClientForKey(key)
	}
	return nil, nil
}

// Same reports whether two callers have the same client.
func (c *Caller) Same(other *Caller) bool {
	if c == other {
		return true
	}
	t := reflect.TypeOf(c.rdb)
	return t == reflect.TypeOf(other.rdb) && t.Comparable() && c.rdb == other.rdb
}

// Node returns the client of the node that serves key, as [NodeOf] does, but never
// asks Redis. It reports false if the node is not known, or if the client cannot send
// several commands in one round trip.
func (c *Caller) Node(key string) (*redis.Client, bool) {
	switch c.rdb.(type) {
	case Batcher, interface{ Pipeline() redis.Pipeliner }:
	default:
		return nil, false
	}
	node, err := NodeOf(dead, c.rdb, key)
	return node, err == nil
}

// Dead returns a context with which go-redis sends nothing.
func Dead() context.Context { return dead }

var dead = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// TellsNodes reports whether it is known which node rdb sends a key to.
func TellsNodes(rdb any) bool {
	switch Unwrap(rdb).(type) {
	case Cluster, Ring, Single:
		return true
	}
	return false
}
