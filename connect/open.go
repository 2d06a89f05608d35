package connect

import (
	"log/slog"

	"github.com/redishttp/redishttp/internal/setting"
)

// Open makes a connection from a URL, see [Parse] for its grammar. It is named
// "default" unless [WithName] says otherwise. Create one for each Redis and
// share it: its pool and its breaker are what the middlewares have in common.
//
// Open checks everything that can be checked without Redis, certificate files
// included, and reports all mistakes at once as joined [*OptionError]. It does
// not dial, so it succeeds while Redis is down; [Conn.Ready] waits for Redis.
// (embedded:// starts the server of [WithEmbedded], whose error is returned.)
// The caller closes the connection with [Conn.Close].
func Open(rawURL string, opts ...Option) (*Conn, error) {
	s := record(opts)
	m := s.check()
	if s.Config = parse(rawURL, m); m.Err() != nil {
		return nil, m.Err()
	}
	return s.connect(m)
}

// New makes a connection from a [Config]. It is named, checked and made as by
// [Open]. Use it where the settings come from a configuration file, or have no
// URL parameter.
//
//	conn, err := connect.New(connect.Config{
//		Mode:   connect.Sentinel,
//		Addrs:  []string{"s1:26379", "s2:26379", "s3:26379"},
//		Master: "mymaster",
//	})
func New(config Config, opts ...Option) (*Conn, error) {
	s := record(opts)
	s.Config = config
	return s.connect(s.check())
}

// record keeps the options, and the name that they give: mistakes in the URL,
// which is read before they are applied, name the connection too.
func record(opts []Option) *settings {
	named := &settings{name: defaultName}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(named)
		}
	}
	return &settings{name: named.name, opts: opts, logger: slog.New(slog.DiscardHandler)}
}

// check collects the mistakes of this connection.
func (s *settings) check() *setting.Check {
	return &setting.Check{Package: "connect", Instance: s.name}
}

// connect checks the settings and makes the connection.
func (s *settings) connect(m *setting.Check) (*Conn, error) {
	s.prepare(m)
	if err := m.Err(); err != nil {
		return nil, err
	}
	return s.open()
}

// prepare applies the options, checks everything that can be checked without
// Redis, and reads the files.
func (s *settings) prepare(m *setting.Check) {
	name := s.name // a Set's, whatever WithName says
	for _, opt := range s.opts {
		if opt != nil {
			opt.apply(s)
		}
	}
	s.name = name
	m.That(s.name != "", "WithName", "is empty")
	m.That(s.logger != nil, "WithLogger", "is nil")
	m.That(s.Mode != Embedded || s.embedded != nil, "embedded", "pass embedded.Option() of connect/embedded")
	m.That(!s.closeClient, "WithCloseClient", "is for FromClient: other clients are always closed")
	s.checkGiven(m)
	s.validate(m)
	s.checkCredentials(m)
	data := s.tlsConfig(m)
	s.readSecrets(m)
	own := s.SentinelTLS != nil || s.SentinelCAFile != "" || s.SentinelPlain
	s.sentinels = s.sentinelTLSConfig(data, m)
	if m.Err() != nil {
		return
	}
	if s.ClientName == "" {
		s.ClientName = defaultClientName(s.name)
	}
	s.pristine = s.build(data)
	s.adopt(m)
	if !own {
		s.sentinels = s.node.TLSConfig
	}
}
