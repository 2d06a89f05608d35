//go:build unix

package redistest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// MasterName is the name under which the sentinels watch their master.
const MasterName = "mymaster"

// Target is a topology that clients can be made for.
type Target struct {
	Name string // standalone, sentinel or cluster
	URL  string // in the grammar of package connect
	opts redis.UniversalOptions
}

// Client returns a new client, closed when the test ends. Deadlines hold,
// nothing is retried; mod may change that.
func (g *Target) Client(t testing.TB, mod ...func(*redis.UniversalOptions)) redis.UniversalClient {
	t.Helper()
	opts := g.opts
	opts.Addrs = append([]string(nil), g.opts.Addrs...)
	opts.ContextTimeoutEnabled = true
	opts.MaxRetries = -1
	opts.DialerRetries = 1
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	for _, m := range mod {
		m(&opts)
	}
	var rdb redis.UniversalClient
	switch g.Name {
	case "sentinel":
		rdb = redis.NewFailoverClient(opts.Failover())
	case "cluster":
		rdb = redis.NewClusterClient(opts.Cluster())
	default:
		rdb = redis.NewClient(opts.Simple())
	}
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// shared is a topology started once per test binary. A failed start fails
// every test that asks for it.
type shared struct {
	once   sync.Once
	target *Target
	err    error
}

func (s *shared) get(t testing.TB, start func() (*Target, error)) *Target {
	t.Helper()
	s.once.Do(func() { s.target, s.err = start() })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.target
}

var sharedStandalone, sharedCluster, sharedSentinel shared

// Standalone is the shared standalone server.
func Standalone(t testing.TB) *Target {
	t.Helper()
	return sharedStandalone.get(t, func() (*Target, error) {
		s, err := newServer()
		if err != nil {
			return nil, err
		}
		return s.Target(), nil
	})
}

// Cluster is the shared cluster of three masters.
func Cluster(t testing.TB) *Target {
	t.Helper()
	return sharedCluster.get(t, func() (*Target, error) {
		c, err := newCluster(0)
		if err != nil {
			return nil, err
		}
		return c.Target(), nil
	})
}

// Sentinel is the shared master with one replica and three sentinels.
func Sentinel(t testing.TB) *Target {
	t.Helper()
	return sharedSentinel.get(t, func() (*Target, error) {
		s, err := newSentinel()
		if err != nil {
			return nil, err
		}
		return s.Target(), nil
	})
}

// Each runs fn as a subtest on each of the three shared topologies.
func Each(t *testing.T, fn func(t *testing.T, g *Target)) {
	t.Helper()
	for _, g := range []struct {
		name string
		get  func(testing.TB) *Target
	}{{"standalone", Standalone}, {"sentinel", Sentinel}, {"cluster", Cluster}} {
		t.Run(g.name, func(t *testing.T) { fn(t, g.get(t)) })
	}
}

// Target is the server as a standalone topology.
func (s *Server) Target() *Target {
	return &Target{Name: "standalone", URL: s.URL(), opts: redis.UniversalOptions{
		Addrs: []string{s.Addr()}, Username: s.user, Password: s.pass, TLSConfig: s.TLSConfig(),
	}}
}

var prefixes atomic.Int64

// Prefix returns a key prefix of letters and digits that no other call in this
// test binary returns.
func Prefix(t testing.TB) string {
	sum := sha256.Sum256([]byte(t.Name()))
	return fmt.Sprintf("t%s%d", hex.EncodeToString(sum[:4]), prefixes.Add(1))
}

func addrs(servers []*Server) []string {
	all := make([]string, len(servers))
	for i, s := range servers {
		all[i] = s.Addr()
	}
	return all
}

func authority(servers []*Server) string { return strings.Join(addrs(servers), ",") }
