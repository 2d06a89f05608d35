package connect_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Credentials and TLS on every topology, those of sentinels apart from those
// of the data nodes, with passwords that need encoding in a URL.
func TestSecuredTopologies(t *testing.T) {
	t.Parallel()
	const password, other = "s3cr/t#@:%?", "0ther&pw=+"
	acl := redistest.WithACL("alice", password)
	for name, url := range map[string]func(t *testing.T) string{
		"mTLS":         func(t *testing.T) string { return redistest.NewServer(t, redistest.WithTLS(), acl).URL() },
		"cluster ACL":  func(t *testing.T) string { return redistest.NewCluster(t, 0, acl).Target().URL },
		"cluster mTLS": func(t *testing.T) string { return redistest.NewCluster(t, 0, redistest.WithTLS(), acl).Target().URL },
		"sentinel ACL on both": func(t *testing.T) string {
			return redistest.NewSentinel(t, redistest.WithData(acl), redistest.WithSentinelACL("watch", other)).Target().URL
		},
		"sentinel ACL on the sentinels": func(t *testing.T) string {
			return redistest.NewSentinel(t, redistest.WithSentinelACL("watch", other)).Target().URL
		},
		"sentinel mTLS on data, plain sentinels": func(t *testing.T) string {
			return redistest.NewSentinel(t, redistest.WithData(redistest.WithTLS(), acl)).Target().URL
		},
		"sentinel two authorities": func(t *testing.T) string {
			return redistest.NewSentinel(t, redistest.WithData(redistest.WithTLS(), acl), redistest.WithSentinelTLS(), redistest.WithSentinelACL("watch", other)).Target().URL
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, url(t))
			if err := c.Ready(within(t, patience)); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				if err := c.Client().Set(t.Context(), fmt.Sprint("k", i), 1, time.Minute).Err(); err != nil {
					t.Error(err)
				}
			}
			if h := c.Health(within(t, patience)); !h.OK {
				t.Errorf("health: %+v", h)
			}
		})
	}
}

// A client that was told of one sentinel learns of the others, and speaks to
// them as to the first although the data nodes use TLS.
func TestDiscoveredSentinelsAreSpokenToLikeTheFirst(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]redistest.SentinelOption{
		"plain": {redistest.WithData(redistest.WithTLS())},
		"TLS":   {redistest.WithData(redistest.WithTLS()), redistest.WithSentinelTLS()},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.NewSentinel(t, opts...)
			url := s.Target().URL
			for _, more := range s.Sentinels[1:] {
				url = strings.Replace(url, ","+more.Addr(), "", 1)
			}
			c := open(t, url)
			if err := c.Ready(within(t, patience)); err != nil {
				t.Fatal(err)
			}
			var old *redistest.Server
			redistest.Eventually(t, patience, func() bool { old = s.Master(); return old != nil }, "no sentinel answers")
			s.Sentinels[0].Kill()
			old.Kill()
			s.WaitPromoted(t, old)
			redistest.Eventually(t, patience, func() bool {
				return c.Client().Set(within(t, time.Second), "k", 1, 0).Err() == nil
			}, "no way to the new master over the other sentinels")
		})
	}
}

func TestIPv6ListsInTheAuthority(t *testing.T) {
	config, err := connect.Parse("redis+cluster://[::1]:7001,[fe80::1],h:1")
	if err != nil || strings.Join(config.Addrs, " ") != "[::1]:7001 [fe80::1]:6379 h:1" {
		t.Errorf("got %v, %v", config.Addrs, err)
	}
}

func TestIPv6(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6 loopback")
	} else {
		_ = l.Close()
	}
	s := redistest.NewServer(t, redistest.WithArgs("--bind", "127.0.0.1", "::1"))
	_, port, _ := net.SplitHostPort(s.Addr())
	if err := open(t, "redis://[::1]:"+port).Ready(within(t, patience)); err != nil {
		t.Error(err)
	}
}
