package connect

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"
)

// An Option changes a default of [Open] and [New]. Options come after the URL
// and win over it. One that is given nil in place of a value is a mistake.
type Option interface{ apply(*settings) }

type optionFunc func(*settings)

func (f optionFunc) apply(s *settings) { f(s) }

// settings is what a connection is made from: the configuration, and what has
// no place in a URL.
type settings struct {
	Config
	streaming auth.StreamingCredentialsProvider
	dialer    dialFunc
	logger    *slog.Logger
	hooks     []redis.Hook
	goRedis   func(*redis.Options)
	embedded  func() (EmbeddedServer, error)

	nils []string // options that were given nothing

	// Made by prepare.
	pristine  redis.Options  // of one node, before WithGoRedis
	node      *redis.Options // and after it
	sentinels *tls.Config    // nil for plain text
}

// EmbeddedServer is a Redis in this process, for embedded://. Package
// connect/embedded has one.
type EmbeddedServer interface {
	Addr() string     // host:port on loopback
	Password() string // of the default user
	Close() error
}

// given is an option with a value that must not be nil: an option without one
// would leave a default in place, or turn TLS off, without a word.
func given(name string, isNil bool, apply func(*settings)) Option {
	return optionFunc(func(s *settings) {
		if isNil {
			s.nils = append(s.nils, name)
			return
		}
		apply(s)
	})
}

// WithTLS sets the TLS configuration and turns TLS on. Leave ServerName empty
// to have each node verified by the host it is dialled at.
func WithTLS(config *tls.Config) Option {
	return given("WithTLS", config == nil, func(s *settings) { s.TLS, s.UseTLS = config, true })
}

// WithCredentials asks for user and password at every new connection, so that
// they can be rotated: together with [Config.Lifetime] no connection keeps old
// ones for longer than that. The default is those of the URL. Of WithCredentials,
// [WithPasswordFile] and [WithStreamingCredentials] the last one given holds.
func WithCredentials(ask func(ctx context.Context) (username, password string, err error)) Option {
	return given("WithCredentials", ask == nil, func(s *settings) { s.Credentials, s.PasswordFile, s.streaming = ask, "", nil })
}

// WithPasswordFile takes the password from a file, which is read again at every
// new connection; see [WithCredentials]. A trailing newline is not part of it.
// The default is the password of the URL.
func WithPasswordFile(username, file string) Option {
	return given("WithPasswordFile", file == "", func(s *settings) {
		s.Username, s.PasswordFile, s.Credentials, s.streaming = username, file, nil, nil
	})
}

// WithStreamingCredentials takes credentials that are pushed: connections that
// are open already authenticate anew with each change, as tokens of a cloud's
// identity service need it. The default is those of the URL.
func WithStreamingCredentials(p auth.StreamingCredentialsProvider) Option {
	return given("WithStreamingCredentials", p == nil, func(s *settings) { s.streaming, s.Credentials, s.PasswordFile = p, nil, "" })
}

// WithSentinelTLS sets the TLS configuration of the sentinels where it differs
// from that of the data nodes, also when those speak plain text. The default is
// the data nodes'.
func WithSentinelTLS(config *tls.Config) Option {
	return given("WithSentinelTLS", config == nil, func(s *settings) { s.SentinelTLS = config })
}

// WithBatching sets how many calls of [Conn.Batched] go to Redis each on its
// own before the next are sent together; -1 turns batching off. The default is
// 8.
func WithBatching(above int) Option { return optionFunc(func(s *settings) { s.BatchAbove = above }) }

// WithDialer replaces the dialer of data nodes and sentinels. Where the URL or
// [WithTLS] asks for TLS it is spoken on the dialer's connections, unless they
// are [*tls.Conn] already. The default is a net.Dialer.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return given("WithDialer", dial == nil, func(s *settings) { s.dialer = dial })
}

// WithPool sets the largest and the smallest number of pooled connections, for
// each node of a cluster. The default is max(32, 10 x GOMAXPROCS) and 0.
func WithPool(size, minIdle int) Option {
	return optionFunc(func(s *settings) { s.PoolSize, s.MinIdle = size, minIdle })
}

// WithTimeouts bounds dialling, reading, writing and the wait for a free
// connection; 0 keeps a default. The defaults are 1s, 1s, 1s and 500ms. A
// context's deadline holds as well, whichever is first.
func WithTimeouts(dial, read, write, pool time.Duration) Option {
	return optionFunc(func(s *settings) {
		for _, t := range []struct {
			to *time.Duration
			d  time.Duration
		}{{&s.DialTimeout, dial}, {&s.ReadTimeout, read}, {&s.WriteTimeout, write}, {&s.PoolTimeout, pool}} {
			if t.d != 0 {
				*t.to = t.d
			}
		}
	})
}

// WithRetries sets how many times a command is sent again after a network
// error. The default is 0: the command may have been executed. What
// [Conn.Batched] batches and, on a cluster, pipelines are never sent again.
func WithRetries(n int) Option { return optionFunc(func(s *settings) { s.Retries = n }) }

// WithPrefix sets the prefix of [Conn.Key]. The default is none.
func WithPrefix(prefix string) Option { return optionFunc(func(s *settings) { s.Prefix = prefix }) }

// WithClientName sets what CLIENT LIST shows. The default is program:connection.
func WithClientName(name string) Option {
	return optionFunc(func(s *settings) { s.ClientName = name })
}

// WithLogger sets the logger for what an operator must know. The default
// discards.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(s *settings) { s.logger = l }) }

// WithHook adds a go-redis hook to the client. Hooks see keys and values. On a
// cluster commands pass it once, and the dials of all nodes pass it. It does not
// see what [Conn.Nodes] asks sentinels, nor clients made by [Conn.Server].
func WithHook(h redis.Hook) Option {
	return optionFunc(func(s *settings) { s.hooks = append(s.hooks, h) })
}

// WithGoRedis has the last word on the go-redis options of each node. It is
// called when the connection is checked, and on a cluster again for each node, with
// its address. What the topology cannot have, like a database on a cluster or
// a Limiter with sentinels, is a [*ConfigError]. With sentinels OnConnect is called
// for data nodes only, after a ROLE.
func WithGoRedis(change func(*redis.Options)) Option {
	return given("WithGoRedis", change == nil, func(s *settings) { s.goRedis = change })
}

// WithEmbedded starts the server of embedded://. It has no default, so that
// production binaries do not link one; see connect/embedded.Option.
func WithEmbedded(start func() (EmbeddedServer, error)) Option {
	return given("WithEmbedded", start == nil, func(s *settings) { s.embedded = start })
}
