package connect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Conn is one named connection: a pooled go-redis client for one topology. It
// is safe for concurrent use.
type Conn struct {
	name   string
	config *Config // a pointer, for fmt follows none inside a user's struct
	client redis.UniversalClient
	logger *slog.Logger
	dials  *dials
	gate   *gate
	scout  scout
	dialer dialFunc                         // of Sentinel
	stop   func() error                     // of the embedded server
	direct func(addr string) *redis.Options // of one server, see Server

	mu       sync.Mutex
	circuits map[string]*circuit // by address

	open       context.Context // ends when Close begins
	shut       context.CancelFunc
	life       context.Context // ends with Close
	end        context.CancelFunc
	background sync.WaitGroup
	batching   sync.Once
	batched    atomic.Pointer[Batched]

	batchedCount atomic.Int64
	apart        atomic.Int64 // until when nothing is batched, see setApart

	closing sync.Once
	closed  chan struct{}
	err     error
}

// Open makes a connection from a URL, see [Parse]. It checks everything that
// can be checked without Redis, reports all mistakes at once and does not
// dial; [Conn.Ready] does. (embedded:// starts the server of [WithEmbedded].)
func Open(name, rawURL string, opts ...Option) (*Conn, error) {
	m := &mistakes{conn: name}
	c := parse(rawURL, m)
	if err := m.err(); err != nil {
		return nil, err
	}
	return New(name, c, opts...)
}

// New makes a connection from a Config.
func New(name string, config Config, opts ...Option) (*Conn, error) {
	m := &mistakes{conn: name}
	s := prepare(config, opts, m)
	if err := m.err(); err != nil {
		return nil, err
	}
	return s.open(name)
}

// prepare checks everything that can be checked without Redis, for the
// connection that m names, and reads the files.
func prepare(config Config, opts []Option, m *mistakes) *settings {
	s := &settings{Config: config, logger: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(s)
		}
	}
	m.check(m.conn != "", "name", "is empty")
	m.check(s.logger != nil, "WithLogger", "is nil")
	m.check(s.Mode != Embedded || s.embedded != nil, "embedded", "pass embedded.Option() of connect/embedded")
	for _, option := range s.nils {
		m.add(option, "is nil or empty")
	}
	for _, h := range s.hooks {
		m.check(h != nil, "WithHook", "is nil")
	}
	s.validate(m)
	s.checkCredentials(m)
	data := s.tlsConfig(m)
	s.readSecrets(m)
	own := s.SentinelTLS != nil || s.SentinelCAFile != "" || s.SentinelPlain
	s.sentinels = s.sentinelTLSConfig(data, m)
	if m.err() != nil {
		return s
	}
	if s.ClientName == "" {
		s.ClientName = defaultClientName(m.conn)
	}
	s.pristine = s.build(data)
	s.adopt(m)
	if !own {
		s.sentinels = s.node.TLSConfig
	}
	return s
}

// Name is the connection's name.
func (c *Conn) Name() string { return c.name }

// Mode is the topology.
func (c *Conn) Mode() Mode { return c.config.Mode }

// Client is the go-redis client: deadlines of contexts hold, nothing is sent
// twice, and while Redis is known to be down a call fails at once. A failure to
// reach Redis is an [*UnavailableError]; all else is go-redis' own error. Do
// not close it; [Conn.Close] does.
func (c *Conn) Client() redis.UniversalClient { return c.client }

// Key joins parts with the connection's prefix: prefix:a:b.
func (c *Conn) Key(parts ...string) string {
	if c.config.Prefix != "" {
		parts = append([]string{c.config.Prefix}, parts...)
	}
	return strings.Join(parts, ":")
}

// Info is the configuration without secrets.
func (c *Conn) Info() Info {
	i := Info{Name: c.name, Mode: c.config.Mode.String(), Addrs: c.config.Addrs, Socket: c.config.Socket,
		Master: c.config.Master, DB: c.config.DB, Username: c.config.Username, TLS: c.config.UseTLS,
		ClientName: c.config.ClientName, Prefix: c.config.Prefix, PoolSize: c.config.PoolSize}
	return i
}

// Info describes a connection for people and admin panels.
type Info struct {
	Name       string   `json:"name"`
	Mode       string   `json:"mode"`
	Addrs      []string `json:"addrs,omitempty"`
	Socket     string   `json:"socket,omitempty"`
	Master     string   `json:"master,omitempty"`
	DB         int      `json:"db"`
	Username   string   `json:"username,omitempty"`
	TLS        bool     `json:"tls"`
	ClientName string   `json:"client_name"`
	Prefix     string   `json:"prefix,omitempty"`
	PoolSize   int      `json:"pool_size"`
}

// String names the connection and where it leads, without secrets.
func (c *Conn) String() string { return fmt.Sprintf("%s (%s)", c.name, c.config) }

// GoString is String, so that %#v shows no secret.
func (c *Conn) GoString() string { return c.String() }

// LogValue is String.
func (c *Conn) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Close refuses new calls with [ErrClosed], waits for those in flight, and
// closes the client and, when it is embedded, the server. When ctx ends first
// the calls in flight fail and Close returns the context's error; the rest is
// done all the same. A second call waits for the first.
func (c *Conn) Close(ctx context.Context) error {
	c.closing.Do(func() {
		c.shut()
		go func() { // go-redis' Close takes no context, and waits for sentinels
			defer close(c.closed)
			c.batching.Do(func() { c.makeBatched(false) })
			c.batched.Load().flush()
			c.gate.shut()
			select {
			case <-c.gate.drained:
			case <-ctx.Done():
			}
			c.end()
			c.background.Wait()
			// That a connection to a dead server could not be closed in good
			// order helps nobody.
			if err := c.client.Close(); !unreachable(err) {
				c.err = err
			}
			if c.stop != nil {
				c.err = errors.Join(c.err, c.stop())
			}
		}()
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
