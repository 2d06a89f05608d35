package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redishttp/redishttp/internal/setting"
)

// tlsConfig reads the certificate files when the connection is made, so that a wrong
// path is reported then and not by the first request.
func (c *Config) tlsConfig(m *setting.Check) *tls.Config {
	if !c.UseTLS {
		return nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		t = c.TLS.Clone()
	}
	if c.ServerName != "" {
		t.ServerName = c.ServerName
	}
	if c.SkipVerify {
		t.InsecureSkipVerify = true
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		m.That(err == nil, "ca_file", "cannot be read")
		t.RootCAs = x509.NewCertPool()
		m.That(err != nil || t.RootCAs.AppendCertsFromPEM(pem), "ca_file", "holds no PEM certificate")
	}
	if c.CertFile != "" && c.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		m.That(err == nil, "cert_file", "certificate and key cannot be read or do not fit")
		t.Certificates = []tls.Certificate{pair}
	}
	return t
}

// sentinelTLSConfig returns the TLS configuration for sentinels: that of the data
// nodes, unless the sentinels have one of their own. nil is plain text.
func (c *Config) sentinelTLSConfig(data *tls.Config, m *setting.Check) *tls.Config {
	m.That(!c.SentinelPlain || c.SentinelTLS == nil && c.SentinelCAFile == "", "sentinel_plain", "and TLS for the sentinels exclude each other")
	switch {
	case c.SentinelPlain:
		return nil
	case c.SentinelTLS == nil && c.SentinelCAFile == "":
		return data
	}
	own := Config{UseTLS: true, TLS: c.SentinelTLS, CAFile: c.SentinelCAFile}
	mine := &setting.Check{Package: "connect", Instance: m.Instance}
	t := own.tlsConfig(mine)
	m.That(mine.Err() == nil, "sentinel_ca_file", "cannot be read or holds no PEM certificate")
	return t
}

var notInName = regexp.MustCompile(`[^!-~]+`)

// defaultClientName is program:connection, with what CLIENT SETNAME rejects
// replaced.
func defaultClientName(conn string) string {
	program, err := os.Executable()
	if err != nil {
		program = "go"
	}
	return notInName.ReplaceAllString(filepath.Base(program)+":"+conn, "-")
}

// retries translates our number to go-redis', where 0 means 3 and -1 none.
func (c *Config) retries() int {
	if c.Retries == 0 {
		return -1
	}
	return c.Retries
}

// build makes the go-redis options of one node from the configuration.
func (s *settings) build(t *tls.Config) redis.Options {
	o := redis.Options{
		ClientName: s.ClientName, Protocol: s.Protocol, DB: s.DB,
		// Users with an ACL may lack the right to CLIENT SETINFO: each connection
		// would leave two entries in ACL LOG.
		DisableIdentity: s.LibraryName == "", IdentitySuffix: s.LibraryName,
		Username: s.Username, Password: string(s.Password), CredentialsProviderContext: s.credentials(),
		StreamingCredentialsProvider: s.streaming,
		Dialer:                       s.dialer, TLSConfig: t,
		MaxRetries: s.retries(), DialerRetries: 1,
		DialTimeout: s.Timeouts.Dial, ReadTimeout: s.Timeouts.Read, WriteTimeout: s.Timeouts.Write, PoolTimeout: s.Timeouts.Pool,
		ContextTimeoutEnabled: true,
		PoolSize:              s.PoolSize, MinIdleConns: s.MinIdle, MaxActiveConns: s.MaxActive,
		ConnMaxIdleTime: s.IdleTime, ConnMaxLifetime: s.Lifetime,
		// In automatic mode go-redis looks the host up inside NewClient and sends
		// one more command on each connection, which only Redis Enterprise knows.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	switch {
	case s.Socket != "":
		o.Network, o.Addr = "unix", s.Socket
	case len(s.Addrs) > 0:
		o.Network, o.Addr = "tcp", s.Addrs[0]
	}
	return o
}

// nodeOptions returns the options of the node of a cluster at addr, or of the one
// server of the other topologies.
func (s *settings) nodeOptions(addr string) *redis.Options {
	o := s.node
	if s.Mode == Cluster {
		o = s.options()
		o.Addr, o.NodeAddress = addr, addr
		s.changed(o)
	}
	o.Dialer = secured(o.Dialer, o.TLSConfig)
	return o
}

// clusterOptions makes the options of a cluster client from those of a node.
func (s *settings) clusterOptions() *redis.ClusterOptions {
	c := &redis.ClusterOptions{}
	carry(s.node, c)
	c.Addrs, c.ClusterStateReloadInterval = s.Addrs, reloadInterval
	if c.MinRetryBackoff == 0 {
		// go-redis waits before a pipeline follows ASK to a slot that moves, by default
		// as long as a look-up of the cache may take.
		c.MinRetryBackoff = time.Millisecond
	}
	c.NewClient = func(node *redis.Options) *redis.Client {
		// These options replace go-redis', so that WithGoRedis changes each node's
		// once. go-redis' add nothing but the node's address.
		o := s.nodeOptions(node.Addr)
		if node.NodeAddress != "" && o.NodeAddress == node.Addr {
			o.NodeAddress = node.NodeAddress
		}
		return redis.NewClient(o)
	}
	return c
}

// failoverOptions makes the options of a failover client from those of a node.
func (s *settings) failoverOptions(dial dialFunc) *redis.FailoverOptions {
	f := &redis.FailoverOptions{}
	carry(s.node, f)
	f.MasterName, f.SentinelAddrs = s.Master, s.Addrs
	f.SentinelUsername, f.SentinelPassword = s.SentinelUsername, string(s.SentinelPassword)
	f.Dialer, f.TLSConfig = dial, nil // it tells data nodes from sentinels, and each has its own TLS
	if connected := s.node.OnConnect; connected != nil {
		f.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
			if onSentinel(ctx, cn) {
				return nil
			}
			return connected(ctx, cn)
		}
	}
	return f
}

// onSentinel reports whether a connection leads to a sentinel. go-redis calls the
// data nodes' OnConnect for sentinels too, which do not know most commands.
func onSentinel(ctx context.Context, cn *redis.Conn) bool {
	role, err := cn.Do(ctx, "role").Slice()
	return err == nil && len(role) > 0 && role[0] == "sentinel"
}
