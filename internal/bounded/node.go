package bounded

import (
	"context"

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

// TellsNodes reports whether it is known which node rdb sends a key to.
func TellsNodes(rdb any) bool {
	switch Unwrap(rdb).(type) {
	case Cluster, Ring, Single:
		return true
	}
	return false
}
