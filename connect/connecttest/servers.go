//go:build unix

package connecttest

import (
	"crypto/tls"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Available reports, as an error, what is missing to start servers: the program
// that REDISHTTP_REDIS_SERVER names, or redis-server.
func Available() error {
	if _, err := exec.LookPath(redistest.Program()); err != nil {
		return fmt.Errorf("connecttest: %w", err)
	}
	return nil
}

// An Option changes what is started.
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

type options struct {
	server   []redistest.ServerOption
	sentinel []redistest.SentinelOption

	unix, tls, sentinels, sentinelTLS bool
}

// WithUnix serves a unix socket and no port. The default is TCP on loopback.
// It is for [NewServer]; others fail the test.
func WithUnix() Option {
	return optionFunc(func(o *options) { o.unix, o.server = true, append(o.server, redistest.WithUnix()) })
}

// WithTLS serves TLS only and demands a client certificate; all servers of a
// topology share one authority, made for it. Sentinels stay in plain text
// unless [WithSentinelTLS] is given. The default is plain text.
func WithTLS() Option {
	return optionFunc(func(o *options) { o.tls, o.server = true, append(o.server, redistest.WithTLS()) })
}

// WithACL turns the default user off and adds one with all rights. The
// password may hold any byte but white space and '>'. The default is no
// password.
func WithACL(user, password string) Option {
	return optionFunc(func(o *options) { o.server = append(o.server, redistest.WithACL(user, password)) })
}

// WithArgs adds command-line arguments for the servers, like "--maxmemory",
// "10mb". The default is none.
func WithArgs(args ...string) Option {
	return optionFunc(func(o *options) { o.server = append(o.server, redistest.WithArgs(args...)) })
}

// WithProgram starts the servers and sentinels of the test from a program in the
// path, such as "valkey-server", or from a file. The default is the program that the
// environment variable REDISHTTP_REDIS_SERVER names, or redis-server. Use the
// variable to run a whole suite on another server, and the option for one test that
// needs a certain one.
func WithProgram(program string) Option {
	return optionFunc(func(o *options) { o.server = append(o.server, redistest.WithProgram(program)) })
}

// WithClock starts servers with a clock that [Server.SetClock] sets; sentinels
// keep the machine's. It needs a C compiler named cc. The default is the
// machine's clock.
func WithClock() Option {
	return optionFunc(func(o *options) { o.server = append(o.server, redistest.WithClock()) })
}

// WithSentinelACL gives the sentinels a user of their own. The default is no
// password. It is for [NewSentinel]; others fail the test.
func WithSentinelACL(user, password string) Option {
	return optionFunc(func(o *options) {
		o.sentinels, o.sentinel = true, append(o.sentinel, redistest.WithSentinelACL(user, password))
	})
}

// WithSentinelTLS has the sentinels serve TLS with an authority of their own;
// it needs [WithTLS]. The default is plain text. It is for [NewSentinel];
// others fail the test.
func WithSentinelTLS() Option {
	return optionFunc(func(o *options) {
		o.sentinels, o.sentinelTLS, o.sentinel = true, true, append(o.sentinel, redistest.WithSentinelTLS())
	})
}

// The topologies, for what an option is for.
const (
	standalone = "NewServer"
	cluster    = "NewCluster"
	sentinel   = "NewSentinel"
)

// collect applies the options, and fails the test for one that would do nothing.
func collect(t testing.TB, topology string, opts []Option) *options {
	t.Helper()
	o := &options{}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(o)
		}
	}
	switch {
	case o.unix && topology != standalone:
		t.Fatalf("connecttest: %s: WithUnix is for NewServer", topology)
	case o.unix && o.tls:
		t.Fatalf("connecttest: %s: WithUnix and WithTLS exclude each other", topology)
	case o.sentinels && topology != sentinel:
		t.Fatalf("connecttest: %s: WithSentinelACL and WithSentinelTLS are for NewSentinel", topology)
	case o.sentinelTLS && !o.tls:
		t.Fatalf("connecttest: %s: WithSentinelTLS needs WithTLS", topology)
	}
	return o
}

// Server is one server or sentinel.
type Server struct{ s *redistest.Server }

// NewServer starts a standalone server for one test.
func NewServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	return &Server{redistest.NewServer(t, collect(t, standalone, opts).server...)}
}

// URL is the server in the grammar of package connect, with its secrets.
func (s *Server) URL() string { return s.s.URL() }

// Addr is host:port, or the path of the unix socket.
func (s *Server) Addr() string { return s.s.Addr() }

// Client returns a plain go-redis client of this server, closed when the test
// ends.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	return s.s.Client(t)
}

// TLSConfig trusts the server and carries a client certificate; nil without
// [WithTLS].
func (s *Server) TLSConfig() *tls.Config { return s.s.TLSConfig() }

// Kill is kill -9: connections are refused. It returns when the process is
// gone.
func (s *Server) Kill() { s.s.Kill() }

// Pause is SIGSTOP: connections stay open and are accepted, nothing answers.
// The server executes what it was sent when it resumes.
func (s *Server) Pause() { s.s.Pause() }

// Resume ends a Pause.
func (s *Server) Resume() { s.s.Resume() }

// Restart kills the server and starts it empty at the same address.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.s.Restart(t)
}

// FlushScripts empties the script cache, as a failover does.
func (s *Server) FlushScripts(t testing.TB) {
	t.Helper()
	s.s.FlushScripts(t)
}

// SetClock sets the server's time of day ahead of the machine's by d, or behind
// it if d is negative, from now on; 0 sets it back. It needs [WithClock]. The
// server's monotonic clock stays as it is, as when an operator sets a clock. The
// nodes of a cluster judge each other by the time of day: move them together,
// and expect them to take a jump for an outage until they have talked again.
func (s *Server) SetClock(t testing.TB, d time.Duration) {
	t.Helper()
	s.s.SetClock(t, d)
}

// wrappers keeps one Server for each process, so that they can be compared.
type wrappers map[*redistest.Server]*Server

func (w wrappers) of(s *redistest.Server) *Server {
	if s == nil {
		return nil
	}
	if w[s] == nil {
		w[s] = &Server{s}
	}
	return w[s]
}

func (w wrappers) all(servers []*redistest.Server) []*Server {
	all := make([]*Server, len(servers))
	for i, s := range servers {
		all[i] = w.of(s)
	}
	return all
}
