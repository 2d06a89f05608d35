package peerbench

import (
	"context"
	"crypto/tls"
	"net"
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

// env is where a contender works: a server, and its own way to it. Each contender
// has its own clients.
type env struct {
	tb     testing.TB
	server *redistest.Server
	wire   wire
	prefix string // of the keys of ours, which share a server
	probe  *redis.Client
	failed atomic.Int64 // calls to Redis that a middleware hides
}

func newEnv(tb testing.TB, server *redistest.Server, prefix string) *env {
	return &env{tb: tb, server: server, prefix: prefix, probe: server.Client(tb)}
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
	opts := e.server.Options()
	rdb := redis.NewClient(&redis.Options{
		Addr: opts.Addr, PoolSize: pool, Dialer: e.wire.dial, MaintNotificationsConfig: opts.MaintNotificationsConfig,
	})
	e.tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
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
		return redigo.Dial("tcp", e.server.Addr(), redigo.DialNetDial(func(network, addr string) (net.Conn, error) {
			return e.wire.dial(context.Background(), network, addr)
		}))
	}}
	e.tb.Cleanup(func() { _ = p.Close() })
	return p
}

func (e *env) rueidisOption() rueidis.ClientOption {
	return rueidis.ClientOption{
		InitAddress: []string{e.server.Addr()}, ForceSingleClient: true,
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
	c, err := connect.Open(e.server.URL(), connect.WithName("peerbench"), connect.WithPool(pool, 0), connect.WithDialer(e.wire.dial), connect.WithTimeouts(timeouts))
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
