//go:build unix

package redistest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// startTimeout is generous: it bounds a broken start, not a slow machine.
const startTimeout = 30 * time.Second

// Server is one redis-server.
type Server struct {
	dir     string
	port    int
	socket  string
	certs   *certs
	user    string
	pass    string
	args    []string
	program string
	proc    *process
	cluster bool
	clock   string   // the file that says how far the clock is ahead
	library string   // what the clock is made of, perhaps shared with a server before
	env     []string // nil for that of this process
}

// A ServerOption changes what [NewServer] starts.
type ServerOption func(*Server)

// WithUnix serves a unix socket and no port.
func WithUnix() ServerOption { return func(s *Server) { s.socket = "redis.sock" } }

// WithTLS serves TLS only, and demands a client certificate.
func WithTLS() ServerOption { return func(s *Server) { s.certs = &certs{} } }

// WithACL turns the default user off and adds one with all rights. The
// password may hold any byte but white space and '>'.
func WithACL(user, password string) ServerOption {
	return func(s *Server) { s.user, s.pass = user, password }
}

// WithArgs adds command-line arguments.
func WithArgs(args ...string) ServerOption {
	return func(s *Server) { s.args = append(s.args, args...) }
}

// NewServer starts a server for one test.
func NewServer(t testing.TB, opts ...ServerOption) *Server {
	t.Helper()
	s, err := newServer(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func newServer(opts ...ServerOption) (*Server, error) {
	s := &Server{program: Program()}
	for _, opt := range opts {
		opt(s)
	}
	dir, err := newDir("srv")
	if err != nil {
		return nil, err
	}
	s.dir = dir
	if err := s.setUp(); err != nil {
		s.clear()
		return nil, err
	}
	return s, nil
}

func (s *Server) start() error {
	args := []string{"--save", "", "--appendonly", "no", "--protected-mode", "no", "--loglevel", "warning", "--dir", s.dir}
	port := strconv.Itoa(s.port)
	switch {
	case s.socket != "":
		args = append(args, "--port", "0", "--unixsocket", s.socket)
	case s.certs != nil:
		args = append(args, "--bind", "127.0.0.1", "--port", "0", "--tls-port", port,
			"--tls-ca-cert-file", s.certs.caFile, "--tls-cert-file", s.certs.serverCert, "--tls-key-file", s.certs.serverKey)
	default:
		args = append(args, "--bind", "127.0.0.1", "--port", port)
	}
	if s.user != "" {
		acl := filepath.Join(s.dir, "users.acl")
		rules := fmt.Sprintf("user default off\nuser %s on >%s ~* &* +@all\n", s.user, s.pass)
		if err := os.WriteFile(acl, []byte(rules), 0o600); err != nil {
			return err
		}
		args = append(args, "--aclfile", acl, "--masteruser", s.user, "--masterauth", s.pass)
	}
	if s.certs != nil {
		args = append(args, "--tls-replication", "yes")
		if s.cluster {
			args = append(args, "--tls-cluster", "yes")
		}
	}
	if s.cluster {
		args = append(args, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
			"--cluster-allow-replica-migration", "no", "--cluster-config-file", "nodes.conf")
	}
	p, err := start(s.dir, s.program, s.env, append(args, s.args...)...)
	if err != nil {
		return err
	}
	s.proc = p
	if err := s.waitUp(); err != nil {
		p.kill()
		return err
	}
	return nil
}

// waitUp polls until the server that answers is the one just started, and not
// one of another test binary that was faster to bind.
func (s *Server) waitUp() error {
	rdb := redis.NewClient(s.Options())
	defer rdb.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var last error
	err := poll(ctx, func() bool {
		if s.proc.ended() {
			return true
		}
		var info string
		if info, last = rdb.Info(ctx, "server").Result(); last != nil {
			return false
		}
		if got := infoField(info, "process_id"); got != strconv.Itoa(s.proc.pid()) {
			last = fmt.Errorf("process %s answers: Address already in use", got)
			return false
		}
		return true
	})
	if err == nil && !s.proc.ended() {
		return nil
	}
	return fmt.Errorf("redistest: %s did not start: %w\n%s", s.program, last, s.proc.tail())
}

// Addr is host:port, or the path of the socket.
func (s *Server) Addr() string {
	if s.socket != "" {
		return s.socket
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

// URL is the server in the grammar of package connect.
func (s *Server) URL() string {
	u := s.url()
	return u.String()
}

func (s *Server) url() url.URL {
	u := url.URL{Scheme: "redis", Host: s.Addr(), Path: "/0"}
	if s.user != "" {
		u.User = url.UserPassword(s.user, s.pass)
	}
	switch {
	case s.socket != "":
		u.Scheme, u.Host, u.Path = "redis+unix", "", s.socket
	case s.certs != nil:
		u.Scheme = "rediss"
		u.RawQuery = url.Values{"ca_file": {s.certs.caFile}, "cert_file": {s.certs.clientCert}, "key_file": {s.certs.clientKey}}.Encode()
	}
	return u
}

// Options reach the server with deadlines that hold and without retries.
func (s *Server) Options() *redis.Options {
	opt := &redis.Options{
		Network: "tcp", Addr: s.Addr(), Username: s.user, Password: s.pass,
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if s.socket != "" {
		opt.Network = "unix"
	}
	if s.certs != nil {
		opt.TLSConfig = s.TLSConfig()
	}
	return opt
}

// Client returns a client that is closed when the test ends.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(s.Options())
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// TLSConfig trusts the server and carries the client's certificate; nil
// without WithTLS.
func (s *Server) TLSConfig() *tls.Config {
	if s.certs == nil {
		return nil
	}
	return s.certs.client.Clone()
}

// CAFile names the PEM file of the authority of [WithTLS].
func (s *Server) CAFile() string { return s.certs.caFile }

// CertFile names the PEM file of the client's certificate of [WithTLS].
func (s *Server) CertFile() string { return s.certs.clientCert }

// KeyFile names the PEM file of the client's key of [WithTLS].
func (s *Server) KeyFile() string { return s.certs.clientKey }

// Kill is kill -9; it returns when the process is gone.
func (s *Server) Kill() { s.proc.kill() }

// Pause is SIGSTOP: connections stay open, nothing answers.
func (s *Server) Pause() { _ = s.proc.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() { _ = s.proc.cmd.Process.Signal(syscall.SIGCONT) }

// Restart kills the server and starts it empty at the same address, its script
// cache gone.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.proc.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// FlushScripts empties the script cache.
func (s *Server) FlushScripts(t testing.TB) {
	t.Helper()
	rdb := redis.NewClient(s.Options())
	defer rdb.Close()
	if err := rdb.ScriptFlush(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) stop() {
	s.proc.kill()
	s.clear()
}

// clear removes the server's directory.
func (s *Server) clear() {
	_ = os.RemoveAll(s.dir)
	_ = os.Remove(filepath.Dir(s.dir)) // if this was the last
}

// do runs one command on a fresh connection, for setting topologies up.
func (s *Server) do(ctx context.Context, args ...any) (any, error) {
	rdb := redis.NewClient(s.Options())
	defer rdb.Close()
	return rdb.Do(ctx, args...).Result()
}
