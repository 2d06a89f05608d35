package peerbench

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// pool is how many connections each client may have.
const pool = 64

// topology is what Redis is: one server, or a cluster of three masters.
type topology struct {
	nodes  []*redistest.Server
	target *redistest.Target
}

func standalone(tb testing.TB) topology {
	server := redistest.NewServer(tb)
	return topology{[]*redistest.Server{server}, server.Target()}
}

func cluster(tb testing.TB) topology {
	c := redistest.NewCluster(tb, 0)
	return topology{c.Nodes, c.Target()}
}

// env is where a contender works: a Redis, and its own way to it. Each contender
// has its own clients.
type env struct {
	topology
	tb     testing.TB
	wire   wire
	prefix string          // of the keys of ours, which share a server
	probes []*redis.Client // one for each node
	failed atomic.Int64    // calls to Redis that a middleware hides
}

func newEnv(tb testing.TB, t topology, prefix string) *env {
	e := &env{topology: t, tb: tb, prefix: prefix}
	for _, node := range t.nodes {
		e.probes = append(e.probes, node.Client(tb))
	}
	return e
}

// addr is that of the server, or of one node.
func (e *env) addr() string { return e.nodes[0].Addr() }

// info has each line of a section of INFO, of all nodes.
func (e *env) info(section string, line func(name, value string)) {
	e.tb.Helper()
	for _, probe := range e.probes {
		info, err := probe.Info(context.Background(), section).Result()
		e.check(err)
		for text := range strings.Lines(info) {
			if name, value, ok := strings.Cut(strings.TrimSpace(text), ":"); ok {
				line(name, value)
			}
		}
	}
}

// check ends the benchmark for an error.
func (e *env) check(err error) {
	e.tb.Helper()
	if err != nil {
		e.tb.Fatal(err)
	}
}

// closes calls what ends a middleware, before its client is closed.
func (e *env) closes(end func(context.Context) error) {
	e.tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = end(ctx)
	})
}

// goredis is a client with go-redis' defaults.
func (e *env) goredis() *redis.Client {
	rdb := redis.NewClient(&redis.Options{
		Addr: e.addr(), PoolSize: pool, Dialer: e.wire.dial, MaintNotificationsConfig: e.nodes[0].Options().MaintNotificationsConfig,
	})
	e.tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// universal is a client with go-redis' defaults for the topology.
func (e *env) universal() redis.UniversalClient {
	return e.target.Client(e.tb, func(o *redis.UniversalOptions) {
		o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled, o.PoolSize, o.Dialer = 0, 0, false, pool, e.wire.dial
	})
}

// autoPipeline is go-redis' own batching.
func (e *env) autoPipeline() *redis.AutoPipeliner {
	ap, err := e.goredis().AutoPipeline()
	e.check(err)
	e.tb.Cleanup(func() { _ = ap.Close() })
	return ap
}

func (e *env) redigo() *redigo.Pool {
	p := &redigo.Pool{MaxIdle: pool, MaxActive: pool, Wait: true, Dial: func() (redigo.Conn, error) {
		return redigo.Dial("tcp", e.addr(), redigo.DialNetDial(func(network, addr string) (net.Conn, error) {
			return e.wire.dial(context.Background(), network, addr)
		}))
	}}
	e.tb.Cleanup(func() { _ = p.Close() })
	return p
}

func (e *env) rueidisOption() rueidis.ClientOption {
	return rueidis.ClientOption{
		InitAddress: []string{e.addr()}, ForceSingleClient: true,
		DialCtxFn: func(ctx context.Context, addr string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return e.wire.dial(ctx, "tcp", addr)
		},
	}
}

func (e *env) rueidis() rueidis.Client {
	c, err := rueidis.NewClient(e.rueidisOption())
	e.check(err)
	e.tb.Cleanup(c.Close)
	return c
}

// conn is a connection of ours; its Client and its Batched are the two ways to use
// the middlewares.
func (e *env) conn() *connect.Conn {
	timeouts := connect.Timeouts{Dial: patience, Read: patience, Write: patience, Pool: patience}
	c, err := connect.Open(e.target.URL, connect.WithName("peerbench"), connect.WithPool(pool, 0), connect.WithDialer(e.wire.dial), connect.WithTimeouts(timeouts))
	e.check(err)
	e.closes(c.Close)
	return c
}

// pick is the client or the batched client of ours.
func (e *env) pick(name string) redis.UniversalClient {
	if name == batched {
		return e.conn().Batched()
	}
	return e.conn().Client()
}

// The names of ours in all scenarios.
const (
	client  = "client"
	batched = "batched"
)
