//go:build unix

package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
}

// NewSentinel starts a master, a replica and three sentinels for one test, in
// less than a second. A dead master is replaced after about two.
func NewSentinel(t testing.TB) *SentinelServers {
	t.Helper()
	s, err := newSentinel()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func newSentinel() (*SentinelServers, error) {
	s := &SentinelServers{}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.build(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("redistest: sentinel: %w", err)
	}
	return s, nil
}

func (s *SentinelServers) build(ctx context.Context) error {
	master, err := newServer(WithArgs("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"))
	if err != nil {
		return err
	}
	s.Data = append(s.Data, master)
	replica, err := newServer(WithArgs("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
		"--replicaof", fmt.Sprintf("127.0.0.1 %d", master.port)))
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
	for range 3 {
		sentinel, err := newSentinelServer(master.port)
		if err != nil {
			return err
		}
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

func linked(ctx context.Context, replica *Server) bool {
	info, err := replica.do(ctx, "info", "replication")
	text, _ := info.(string)
	return err == nil && infoField(text, "master_link_status") == "up"
}

func newSentinelServer(masterPort int) (*Server, error) {
	dir, err := newDir("sentinel")
	if err != nil {
		return nil, err
	}
	s := &Server{program: "redis-sentinel", dir: dir}
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		conf := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nprotected-mode no\n"+
			"sentinel monitor %[3]s 127.0.0.1 %[4]d 2\nsentinel down-after-milliseconds %[3]s 1000\n"+
			"sentinel failover-timeout %[3]s 5000\nsentinel parallel-syncs %[3]s 1\n", s.port, dir, MasterName, masterPort)
		if err = os.WriteFile(conf, []byte(text), 0o600); err != nil {
			return nil, err
		}
		if s.proc, err = start(dir, s.program, conf); err != nil {
			return nil, err
		}
		if err = s.waitUp(); err == nil {
			return s, nil
		}
		s.proc.kill()
	}
	return nil, err
}

func sentinelField(ctx context.Context, s *Server, field string) string {
	rdb := redis.NewSentinelClient(s.Options())
	defer rdb.Close()
	m, err := rdb.Master(ctx, MasterName).Result()
	if err != nil {
		return ""
	}
	return m[field]
}

// Target is the master for clients that ask the sentinels.
func (s *SentinelServers) Target() *Target {
	return &Target{
		Name: "sentinel",
		URL:  "redis+sentinel://" + authority(s.Sentinels) + "/" + MasterName,
		opts: redis.UniversalOptions{Addrs: addrs(s.Sentinels), MasterName: MasterName},
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

// role is what the server says it is: master, slave, or "" when it is silent.
func role(s *Server) string {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	info, err := s.do(ctx, "info", "replication")
	if err != nil {
		return ""
	}
	text, _ := info.(string)
	return infoField(text, "role")
}

func withRole(servers []*Server, want string) []*Server {
	var all []*Server
	for _, s := range servers {
		if role(s) == want {
			all = append(all, s)
		}
	}
	return all
}
