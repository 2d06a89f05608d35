package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"regexp"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// tlsConfig reads the certificate files, so that a wrong path is an error of
// the start and not of the first request.
func (c *Config) tlsConfig(m *mistakes) *tls.Config {
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
		m.check(err == nil, "ca_file", "cannot be read")
		t.RootCAs = x509.NewCertPool()
		m.check(err != nil || t.RootCAs.AppendCertsFromPEM(pem), "ca_file", "holds no PEM certificate")
	}
	if c.CertFile != "" && c.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		m.check(err == nil, "cert_file", "certificate and key cannot be read or do not fit")
		t.Certificates = []tls.Certificate{pair}
	}
	return t
}

// sentinelTLSConfig is how sentinels are spoken to: like data nodes, unless
// something of their own is set.
func (c *Config) sentinelTLSConfig(data *tls.Config, m *mistakes) *tls.Config {
	m.check(!c.SentinelPlain || c.SentinelTLS == nil && c.SentinelCAFile == "", "sentinel_plain", "and TLS for the sentinels exclude each other")
	switch {
	case c.SentinelPlain:
		return nil
	case c.SentinelTLS == nil && c.SentinelCAFile == "":
		return data
	}
	own := Config{UseTLS: true, TLS: c.SentinelTLS, CAFile: c.SentinelCAFile}
	mine := &mistakes{conn: m.conn}
	t := own.tlsConfig(mine)
	m.check(len(mine.errs) == 0, "sentinel_ca_file", "cannot be read or holds no PEM certificate")
	return t
}

var notInName = regexp.MustCompile(`[^!-~]+`)

func defaultClientName(conn string) string {
	program, err := os.Executable()
	if err != nil {
		program = "go"
	}
	return notInName.ReplaceAllString(filepath.Base(program)+":"+conn, "-")
}

// retries translates ours to go-redis', whose 0 means 3.
func (c *Config) retries() int {
	if c.Retries == 0 {
		return -1
	}
	return c.Retries
}

// options are those of a single node, the base of the other two.
func (s *settings) options(t *tls.Config) *redis.Options {
	o := &redis.Options{
		ClientName: s.ClientName, Protocol: s.Protocol, DB: s.DB,
		Username: s.Username, Password: string(s.Password), CredentialsProviderContext: s.credentials(),
		StreamingCredentialsProvider: s.streaming,
		Dialer:                       s.dialer, TLSConfig: t,
		MaxRetries: s.retries(), DialerRetries: 1,
		DialTimeout: s.DialTimeout, ReadTimeout: s.ReadTimeout, WriteTimeout: s.WriteTimeout, PoolTimeout: s.PoolTimeout,
		ContextTimeoutEnabled: true,
		PoolSize:              s.PoolSize, MinIdleConns: s.MinIdle, MaxActiveConns: s.MaxActive,
		ConnMaxIdleTime: s.IdleTime, ConnMaxLifetime: s.Lifetime,
		// In automatic mode go-redis looks the host up inside NewClient and
		// asks once more on each connection; only Redis Enterprise answers.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	switch {
	case s.Socket != "":
		o.Network, o.Addr = "unix", s.Socket
	case len(s.Addrs) > 0:
		o.Network, o.Addr = "tcp", s.Addrs[0]
	}
	if s.goRedis != nil && s.Mode != Cluster {
		s.goRedis(o)
	}
	return o
}

func (s *settings) clusterOptions(t *tls.Config) *redis.ClusterOptions {
	o := s.options(t)
	return &redis.ClusterOptions{
		Addrs: s.Addrs, ClientName: o.ClientName, Protocol: o.Protocol,
		Username: o.Username, Password: o.Password, CredentialsProviderContext: o.CredentialsProviderContext,
		StreamingCredentialsProvider: o.StreamingCredentialsProvider,
		Dialer:                       o.Dialer, TLSConfig: t,
		MaxRetries: o.MaxRetries, DialerRetries: o.DialerRetries,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout,
		ContextTimeoutEnabled: true,
		PoolSize:              o.PoolSize, MinIdleConns: o.MinIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
		MaintNotificationsConfig:   o.MaintNotificationsConfig,
		ClusterStateReloadInterval: reloadInterval,
		NewClient: func(node *redis.Options) *redis.Client {
			if s.goRedis != nil {
				s.goRedis(node)
			}
			return redis.NewClient(node)
		},
	}
}

func (s *settings) failoverOptions(dial func(context.Context, string, string) (net.Conn, error)) *redis.FailoverOptions {
	o := s.options(nil)
	s.dialer = o.Dialer // WithGoRedis may have set one
	f := &redis.FailoverOptions{
		MasterName: s.Master, SentinelAddrs: s.Addrs,
		SentinelUsername: s.SentinelUsername, SentinelPassword: string(s.SentinelPassword),
		ClientName: o.ClientName, Protocol: o.Protocol, DB: o.DB,
		Username: o.Username, Password: o.Password, CredentialsProviderContext: o.CredentialsProviderContext,
		StreamingCredentialsProvider: o.StreamingCredentialsProvider,
		Dialer:                       dial,
		MaxRetries:                   o.MaxRetries, DialerRetries: o.DialerRetries,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout,
		ContextTimeoutEnabled: true,
		PoolSize:              o.PoolSize, MinIdleConns: o.MinIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
		// What WithGoRedis may have set besides.
		OnConnect: o.OnConnect, PoolFIFO: o.PoolFIFO, MaxIdleConns: o.MaxIdleConns, ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		ReadBufferSize: o.ReadBufferSize, WriteBufferSize: o.WriteBufferSize, PipelinePoolSize: o.PipelinePoolSize,
		MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DisableIdentity: o.DisableIdentity, IdentitySuffix: o.IdentitySuffix,
	}
	return f
}
