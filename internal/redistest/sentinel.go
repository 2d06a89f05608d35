//go:build unix

package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// probeTimeout bounds a question to a server that may be paused.
const probeTimeout = 300 * time.Millisecond

// failoverPatience is above the sentinels' failover-timeout, after which an
// attempt is given up.
const failoverPatience = 7 * time.Second

// SentinelServers is a master with one replica, watched by three sentinels.
type SentinelServers struct {
	Data      []*Server // one of them is the master
	Sentinels []*Server
	options   sentinelOptions
}

type sentinelOptions struct {
	data       []ServerOption
	user, pass string
	tls        bool
}

// A SentinelOption changes what [NewSentinel] starts.
type SentinelOption func(*sentinelOptions)

// WithData starts the master and its replica with opts; both share one
// authority.
func WithData(opts ...ServerOption) SentinelOption {
	return func(o *sentinelOptions) { o.data = opts }
}

// WithSentinelACL gives the sentinels a user of their own.
func WithSentinelACL(user, password string) SentinelOption {
	return func(o *sentinelOptions) { o.user, o.pass = user, password }
}

// WithSentinelTLS has the sentinels serve TLS with an authority of their own.
// It needs data nodes with TLS.
func WithSentinelTLS() SentinelOption { return func(o *sentinelOptions) { o.tls = true } }

// NewSentinel starts a master, a replica and three sentinels for one test, in
// less than a second. A dead master is replaced after about two.
func NewSentinel(t testing.TB, opts ...SentinelOption) *SentinelServers {
	t.Helper()
	s, err := newSentinel(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func newSentinel(opts ...SentinelOption) (*SentinelServers, error) {
	s := &SentinelServers{}
	for _, opt := range opts {
		opt(&s.options)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.build(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("redistest: sentinel: %w", err)
	}
	return s, nil
}

func (s *SentinelServers) build(ctx context.Context) error {
	opts := append(slices.Clone(s.options.data), WithArgs("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"))
	master, err := newServer(opts...)
	if err != nil {
		return err
	}
	s.Data = append(s.Data, master)
	replica, err := newServer(append(opts, WithArgs("--replicaof", fmt.Sprintf("127.0.0.1 %d", master.port)), func(s *Server) { s.certs, s.library = master.certs, master.library })...)
	if err != nil {
		return err
	}
	s.Data = append(s.Data, replica)
	// Sentinels that start before the replica is linked learn of it only after
	// their INFO period of ten seconds.
	err = poll(ctx, func() bool {
		info, err := master.do(ctx, "info", "replication")
		text, _ := info.(string)
		return err == nil && infoField(text, "connected_slaves") == "1" && linked(ctx, replica)
	})
	if err != nil {
		return err
	}
	var authority *certs
	for range 3 {
		sentinel, err := s.newSentinelServer(master, authority)
		if err != nil {
			return err
		}
		authority = sentinel.certs
		s.Sentinels = append(s.Sentinels, sentinel)
	}
	for _, sentinel := range s.Sentinels {
		// Faster gossip. With all periods at 100 ms a failover no longer completes.
		if _, err := sentinel.do(ctx, "sentinel", "debug", "publish-period", "100", "info-period", "1000"); err != nil {
			return err
		}
	}
	return poll(ctx, func() bool {
		for _, sentinel := range s.Sentinels {
			if sentinelField(ctx, sentinel, "num-other-sentinels") != "2" || sentinelField(ctx, sentinel, "num-slaves") != "1" {
				return false
			}
		}
		return true
	})
}

// Target is the master for clients that ask the sentinels. Its Client cannot
// be used with TLS, which go-redis' options know only once.
func (s *SentinelServers) Target() *Target {
	first, data := s.Sentinels[0], s.Data[0]
	u := data.url()
	query := u.Query()
	if first.user != "" {
		file := filepath.Join(first.dir, "password")
		_ = os.WriteFile(file, []byte(first.pass), 0o600)
		query.Set("sentinel_username", first.user)
		query.Set("sentinel_password_file", file)
	}
	switch {
	case data.certs == nil:
	case first.certs == nil:
		query.Set("sentinel_plain", "true")
	default:
		query.Set("sentinel_ca_file", first.certs.caFile)
	}
	u.Scheme, u.Host, u.Path, u.RawQuery = u.Scheme+"+sentinel", authority(s.Sentinels), "/"+MasterName, query.Encode()
	return &Target{
		Name: "sentinel",
		URL:  u.String(),
		opts: redis.UniversalOptions{
			Addrs: addrs(s.Sentinels), MasterName: MasterName, Username: data.user, Password: data.pass,
			SentinelUsername: first.user, SentinelPassword: first.pass,
		},
	}
}

// Master is the server that most sentinels call master, nil while they
// disagree.
func (s *SentinelServers) Master() *Server {
	votes := map[string]int{}
	for _, sentinel := range s.Sentinels {
		ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
		votes[sentinelField(ctx, sentinel, "port")]++
		cancel()
	}
	for _, d := range s.Data {
		if votes[strconv.Itoa(d.port)]*2 > len(s.Sentinels) {
			return d
		}
	}
	return nil
}

// Replicas are the data servers that say they are replicas.
func (s *SentinelServers) Replicas() []*Server { return withRole(s.Data, "slave") }

// Failover has the sentinels promote the replica in good order, and waits
// until they and both servers agree. On a loaded machine the sentinels may
// give an attempt up; then it is asked for again.
func (s *SentinelServers) Failover(t testing.TB) *Server {
	t.Helper()
	old := s.Master()
	var now *Server
	var asked time.Time
	Eventually(t, 3*startTimeout, func() bool {
		if now = s.Master(); now != nil && now != old && role(now) == "master" {
			return true
		}
		if time.Since(asked) > failoverPatience {
			ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
			defer cancel()
			if _, err := s.Sentinels[0].do(ctx, "sentinel", "failover", MasterName); err == nil {
				asked = time.Now()
			} // else refused while a previous failover settles
		}
		return false
	}, "no failover came about")
	return now
}

// WaitPromoted waits until another server than old is master, for all
// sentinels and for itself.
func (s *SentinelServers) WaitPromoted(t testing.TB, old *Server) *Server {
	t.Helper()
	var now *Server
	Eventually(t, 3*startTimeout, func() bool { // an attempt that is given up is repeated after 10s
		now = s.Master()
		return now != nil && now != old && role(now) == "master"
	}, "no new master was promoted")
	return now
}

func (s *SentinelServers) stop() {
	for _, server := range append(s.Sentinels, s.Data...) {
		server.stop()
	}
}
