package connect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Conn is one named connection: a pooled go-redis client for one topology, with
// its breakers and counters. [Open], [New], [FromClient] and [Set.Get] return
// one. It is safe for concurrent use; share it, and close it once.
type Conn struct {
	name    string
	config  *Config // a pointer: fmt does not follow those inside a user's struct
	client  redis.UniversalClient
	foreign bool // the client was made by the user, see FromClient
	logger  *slog.Logger
	dials   *dials
	gate    *gate
	scout   scout
	dialer  dialFunc                         // of Sentinel
	stop    func() error                     // of the embedded server
	direct  func(addr string) *redis.Options // of one server, see Server

	mu       sync.Mutex
	circuits map[string]*circuit // by address

	open       context.Context // ends when Close begins
	shut       context.CancelFunc
	life       context.Context // ends with Close
	end        context.CancelFunc
	background sync.WaitGroup
	batching   sync.Once
	batched    atomic.Pointer[batched]

	batchedCount atomic.Int64
	pausedUntil  atomic.Int64 // until when nothing is batched, see pauseBatching

	closing     sync.Once
	closeClient bool
	closed      chan struct{}
	err         error
}

// started is the zero of a monotonic clock that fits into an atomic integer.
var started = time.Now()

// newConn returns a Conn without its client.
func newConn(s *settings) *Conn {
	c := &Conn{
		name: s.name, config: &s.Config, logger: s.logger, dials: &dials{sentinel: s.Mode == Sentinel},
		circuits: map[string]*circuit{}, closed: make(chan struct{}), closeClient: true,
	}
	c.gate = newGate(c)
	c.open, c.shut = context.WithCancel(context.Background())
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// Name returns the connection's name: of [WithName], or of the [Set] that has
// it.
func (c *Conn) Name() string { return c.name }

// Mode returns the topology. With [FromClient] it is that of the client.
func (c *Conn) Mode() Mode { return c.config.Mode }

// Client returns the go-redis client, for the middlewares and for your own
// commands; every call returns the same one. Deadlines of contexts hold,
// nothing is retried unless [WithRetries] asks for it, and while Redis is known
// to be down a call fails at once.
//
// Errors that mean Redis cannot be used now are [*UnavailableError]; all others
// are go-redis' own. (If the first error of a pipeline is of another kind,
// replies such as LOADING behind it are go-redis' own as well.) Do not close
// the client; [Conn.Close] does.
//
// The client of [FromClient] is returned as it was passed.
func (c *Conn) Client() redis.UniversalClient { return c.client }

// All yields the connection with its name, so that a Conn can stand where a
// [Set] can.
func (c *Conn) All() iter.Seq2[string, *Conn] {
	return func(yield func(string, *Conn) bool) { yield(c.name, c) }
}

// Key joins parts with the connection's prefix: prefix:a:b. Without
// [WithPrefix] it joins the parts alone. Parts are not escaped: one that has a
// colon can make two keys equal, so pass no text of users.
func (c *Conn) Key(parts ...string) string {
	if c.config.Prefix != "" {
		parts = append([]string{c.config.Prefix}, parts...)
	}
	return strings.Join(parts, ":")
}

// Info describes a connection as it is configured, without secrets, for pages
// and logs. What a connection does is in [Stats], how its servers are in
// [Health] and [Node].
type Info struct {
	// Name is the name of the connection, Mode its topology, see [Mode.String].
	Name string `json:"name"`
	Mode string `json:"mode"`
	// Addrs are those of [Config]: the server, the sentinels or the seeds of a
	// cluster. Socket is set in their place for a unix socket.
	Addrs  []string `json:"addrs,omitempty"`
	Socket string   `json:"socket,omitempty"`
	// Master is the name by which the sentinels know the master.
	Master string `json:"master,omitempty"`
	DB     int    `json:"db"`
	// Username is that of the data nodes, "" for the default user or a provider.
	Username string `json:"username,omitempty"`
	// TLS reports whether the data nodes are dialled with TLS.
	TLS bool `json:"tls"`
	// ClientName is what CLIENT LIST shows.
	ClientName string `json:"client_name"`
	// Prefix is that of [Conn.Key].
	Prefix string `json:"prefix,omitempty"`
	// PoolSize is the largest number of pooled connections to a node.
	PoolSize int `json:"pool_size"`
}

// Info returns the configuration without secrets. It does not ask Redis. What
// [WithGoRedis] has changed is in it.
func (c *Conn) Info() Info {
	return Info{
		Name: c.name, Mode: c.config.Mode.String(), Addrs: c.config.Addrs, Socket: c.config.Socket,
		Master: c.config.Master, DB: c.config.DB, Username: c.config.Username, TLS: c.config.UseTLS,
		ClientName: c.config.ClientName, Prefix: c.config.Prefix, PoolSize: c.config.PoolSize,
	}
}

// String returns the name and where the connection leads, without secrets.
func (c *Conn) String() string { return fmt.Sprintf("%s (%s)", c.name, c.config) }

// GoString is String: %#v would print the fields, while other goroutines use
// them.
func (c *Conn) GoString() string { return c.String() }

// LogValue returns what String does.
func (c *Conn) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Close rejects new calls with [ErrClosed], waits for those in flight, and
// closes the client and an embedded server. Call it when the HTTP server has
// shut down, with a deadline: when ctx ends first, the calls in flight fail and
// Close returns the context's error; the rest is still done. A second call
// waits for the first. A client of [FromClient] is left open, with its calls,
// unless [WithCloseClient] hands it over.
func (c *Conn) Close(ctx context.Context) error {
	c.closing.Do(func() {
		c.shut()
		go c.close(ctx) // go-redis' Close takes no context, and waits for sentinels
	})
	select {
	case <-c.closed:
		if c.err != nil {
			return fmt.Errorf("connect: close %s: %w", c.name, c.err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("connect: close %s: %w", c.name, context.Cause(ctx))
	}
}

// close waits for the calls in flight, and then closes all that the connection owns.
// It goes on after ctx has ended, so that nothing is left open.
func (c *Conn) close(ctx context.Context) {
	defer close(c.closed)
	c.batching.Do(func() { c.makeBatched(false) })
	c.batched.Load().flush(ctx)
	c.gate.shut()
	select {
	case <-c.gate.drained:
	case <-ctx.Done():
	}
	c.end()
	c.background.Wait()
	if c.closeClient {
		// An orderly goodbye to a server that is gone is of no use to the caller.
		if err := c.client.Close(); !unreachable(err) {
			c.err = err
		}
	}
	if c.stop != nil {
		c.err = errors.Join(c.err, c.stop())
	}
}
