package connect

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"

	"github.com/redishttp/redishttp/internal/setting"
)

// An Option changes a default of [Open], [New], [FromClient] and [NewSet]. Options
// are applied after the URL and override it; the last of a kind wins. An option
// that is given nil where it needs a value is a mistake.
type Option interface {
	apply(*settings)
	name() string
}

// option is an Option that only records; prepare checks.
type option struct {
	of     string // name of the function
	record func(*settings)
}

// apply records the option; name is what mistakes call it.
func (o option) apply(s *settings) { o.record(s) }
func (o option) name() string      { return o.of }

// settings is what a connection is made from: the configuration, and what a URL
// has no place for.
type settings struct {
	Config
	name      string
	opts      []Option
	streaming auth.StreamingCredentialsProvider
	dialer    dialFunc
	logger    *slog.Logger
	hooks     []redis.Hook
	goRedis   func(*redis.Options)
	embedded  func() (EmbeddedServer, error)

	closeClient bool
	nils        []string // options that were given nothing

	// Made by prepare.
	pristine  redis.Options  // of one node, before WithGoRedis
	node      *redis.Options // and after it
	sentinels *tls.Config    // nil for plain text
}

// dialFunc is the type of go-redis' dialers.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// given records an option whose value must not be nil: an option without one
// would silently leave a default in place, or turn TLS off.
func given(name string, isNil bool, record func(*settings)) Option {
	return option{name, func(s *settings) {
		if isNil {
			s.nils = append(s.nils, name)
			return
		}
		record(s)
	}}
}

// checkGiven reports the options that were given nothing.
func (s *settings) checkGiven(m *setting.Check) {
	for _, option := range s.nils {
		m.Fail(option, "is nil or empty")
	}
}

// defaultName is the name of a connection without [WithName], and that of REDIS_URL.
const defaultName = "default"

// WithName sets the name of the connection, which errors, logs, metrics and the
// admin panel show. The default is "default"; "" is a mistake. Name connections
// when a program has several. In a [Set] the name of [Set.Add] holds instead.
func WithName(name string) Option {
	return option{"WithName", func(s *settings) { s.name = name }}
}

// WithTLS sets the TLS configuration and turns TLS on. The default is that of
// the URL: rediss:// verifies with the system's authorities, from TLS 1.2.
// Leave ServerName empty to have each node verified by the host it is dialled
// at. nil is a mistake, and so is TLS on a unix socket. The certificate
// parameters of the URL are applied to a copy. Use it for what URL parameters
// cannot say, such as certificates from memory.
func WithTLS(config *tls.Config) Option {
	return given("WithTLS", config == nil, func(s *settings) { s.TLS, s.UseTLS = config, true })
}

// WithSentinelTLS sets the TLS configuration for the sentinels and turns TLS on
// for them, whatever the data nodes use. The default is the configuration of
// the data nodes. nil is a mistake, and so is the option without sentinels. Use
// it when the sentinels have another authority.
func WithSentinelTLS(config *tls.Config) Option {
	return given("WithSentinelTLS", config == nil, func(s *settings) { s.SentinelTLS = config })
}

// WithCredentials calls provide for user and password whenever a connection is
// opened. An error of provide fails the call that needs the connection. The
// default is the credentials of the URL; nil is a mistake. Use it with
// credentials that are rotated: together with [Config.Lifetime] no connection
// keeps old ones for longer than that. provide is called concurrently and
// delays the call, so cache what is slow to get. Of WithCredentials,
// [WithPasswordFile] and [WithStreamingCredentials] the last one wins.
func WithCredentials(provide func(ctx context.Context) (username, password string, err error)) Option {
	return given("WithCredentials", provide == nil, func(s *settings) { s.Credentials, s.PasswordFile, s.streaming = provide, "", nil })
}

// WithPasswordFile reads the password from a file whenever a connection is
// opened, without one trailing newline. It is read at [Open] too: a file that
// cannot be read then is a mistake, one that cannot be read later leaves the
// last password in use. The default is the password of the URL; an empty file
// name is a mistake. Use it with secrets that are mounted and rotated; see
// [WithCredentials].
func WithPasswordFile(username, file string) Option {
	return given("WithPasswordFile", file == "", func(s *settings) {
		s.Username, s.PasswordFile, s.Credentials, s.streaming = username, file, nil, nil
	})
}

// WithStreamingCredentials gets credentials from a provider that pushes them:
// open connections authenticate again on each change. The default is the
// credentials of the URL; nil is a mistake. Use it with the tokens of a cloud's
// identity service.
func WithStreamingCredentials(p auth.StreamingCredentialsProvider) Option {
	return given("WithStreamingCredentials", p == nil, func(s *settings) { s.streaming, s.Credentials, s.PasswordFile = p, nil, "" })
}

// WithBatching sets how many calls of [Conn.Batched] go to Redis one by one
// before further ones are sent together. The default, also for 0, is 8; -1
// turns batching off and less is a mistake. Raise it when latency matters more
// than throughput. It does not change [Conn.Client].
func WithBatching(above int) Option {
	return option{"WithBatching", func(s *settings) { s.BatchAbove = above }}
}

// WithDialer replaces the dialer of data nodes and sentinels. The default is a
// [net.Dialer]. Where the URL or [WithTLS] asks for TLS, it is spoken on the
// dialer's connections; if they are [*tls.Conn] already, the dialer handles TLS.
// Use it for proxies, tunnels and tests.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return given("WithDialer", dial == nil, func(s *settings) { s.dialer = dial })
}

// WithPool sets the largest and the smallest number of pooled connections, for
// each node of a cluster. The defaults, also for 0, are max(32, 10 x GOMAXPROCS)
// and none; negative numbers are a mistake. Lower the size when Redis has few
// connections for many instances.
func WithPool(size, minIdle int) Option {
	return option{"WithPool", func(s *settings) { s.PoolSize, s.MinIdle = size, minIdle }}
}

// WithTimeouts sets the timeouts of the connection. The defaults are 1s, and
// 500ms for Pool; a zero field keeps that of the URL, or the default, and a
// negative one is a mistake. Lower them when requests have less time than that
// and do not bring a deadline of their own.
func WithTimeouts(t Timeouts) Option {
	return option{"WithTimeouts", func(s *settings) {
		for _, f := range []struct {
			to *time.Duration
			d  time.Duration
		}{{&s.Timeouts.Dial, t.Dial}, {&s.Timeouts.Read, t.Read}, {&s.Timeouts.Write, t.Write}, {&s.Timeouts.Pool, t.Pool}} {
			if f.d != 0 {
				*f.to = f.d
			}
		}
	}}
}

// WithRetries sets how many times a command is retried after a network error, 0
// to 10; another number is a mistake. The default is 0, because the command may
// have been executed; more is right only where every command may run twice.
// What [Conn.Batched] batches and, on a cluster, pipelines are never retried.
func WithRetries(n int) Option {
	return option{"WithRetries", func(s *settings) { s.Retries = n }}
}

// WithPrefix sets the prefix of [Conn.Key]. The default, also for "", is none.
// Use it to keep your own keys apart from those of other programs. It does not
// change the client or the keys of the middlewares, which have WithKeyPrefix.
func WithPrefix(prefix string) Option {
	return option{"WithPrefix", func(s *settings) { s.Prefix = prefix }}
}

// WithClientName sets the name that CLIENT LIST shows, in printable ASCII
// without spaces. The default, also for "", is program:connection. Use it to
// tell instances apart.
func WithClientName(name string) Option {
	return option{"WithClientName", func(s *settings) { s.ClientName = name }}
}

// WithLibraryName has each connection, also those to sentinels, send CLIENT SETINFO
// when it is opened, so that CLIENT LIST shows go-redis(name,go version) and
// go-redis' version. The name is printable ASCII without spaces, parentheses or
// commas. The default, also for "", sends nothing, which saves two commands for each
// connection. Use it to tell programs apart on Redis 7.2 and later or Valkey. Their
// users need +client|setinfo then; Redis 7.0 refuses ACL rules that name it.
func WithLibraryName(name string) Option {
	return option{"WithLibraryName", func(s *settings) { s.LibraryName = name }}
}

// WithLogger sets the logger for what operators must know: outages and their
// end, unverified certificates, batching that is off. An outage of a node is
// one warning when its breaker opens and one line when it closes, not one for
// each call. The default discards; nil is a mistake.
func WithLogger(l *slog.Logger) Option {
	return option{"WithLogger", func(s *settings) { s.logger = l }}
}

// WithHook adds a go-redis hook to the client, for tracing and metrics. The
// default is none; nil is a mistake. Several are kept; the first is the
// outermost. Hooks see keys and values. On a cluster they see each command
// once, and the dials of all nodes. They do not see what [Conn.Nodes] sends to
// sentinels, nor clients made by [Conn.Server]. For OpenTelemetry use package
// connect/otelconnect.
func WithHook(h redis.Hook) Option {
	return given("WithHook", h == nil, func(s *settings) { s.hooks = append(s.hooks, h) })
}

// WithGoRedis changes the go-redis options of each node after all else is set.
// The default changes nothing; nil is a mistake. It is called when the
// connection is checked, and on a cluster again for each node, with its
// address. A change that the topology cannot have, such as a Limiter with
// sentinels, is an [*OptionError]. With sentinels OnConnect is called for data
// nodes only, after a ROLE. Use it for go-redis options that have no counterpart
// here.
func WithGoRedis(change func(*redis.Options)) Option {
	return given("WithGoRedis", change == nil, func(s *settings) { s.goRedis = change })
}

// EmbeddedServer is a Redis inside this process, for embedded:// URLs, in
// development and tests. Package connect/embedded has one. [Conn.Close] closes
// it.
type EmbeddedServer interface {
	// Addr is host:port on loopback.
	Addr() string
	// Password is that of the default user.
	Password() string
	// Close stops the server; its data is lost.
	Close() error
}

// WithEmbedded sets the function that starts the server of embedded:// URLs; it
// is called once for each connection, when that is made. There is no default,
// so production binaries do not link a server; nil is a mistake. Use
// connect/embedded.Option instead of calling it.
func WithEmbedded(start func() (EmbeddedServer, error)) Option {
	return given("WithEmbedded", start == nil, func(s *settings) { s.embedded = start })
}

// WithCloseClient sets whether [Conn.Close] closes the client that was passed
// to [FromClient]. The default is false: the code that made a client closes it.
// Set it to hand the client over. With [Open] and [New] it is a mistake,
// because their client is always closed.
func WithCloseClient(on bool) Option {
	return option{"WithCloseClient", func(s *settings) { s.closeClient = on }}
}
