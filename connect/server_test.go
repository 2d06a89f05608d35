package connect_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Each server is asked itself, a replica as well, and none that is not one of
// the connection's.
func TestServer(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"standalone": redistest.Standalone(t).URL, "unix": redistest.NewServer(t, redistest.WithUnix()).URL(),
		"sentinel": redistest.NewSentinel(t).Target().URL, "cluster": redistest.NewCluster(t, 1).Target().URL,
	} {
		t.Run(name, func(t *testing.T) {
			c, asked := open(t, url, connect.WithTimeouts(connect.Timeouts{Dial: patience, Read: patience, Write: patience, Pool: patience})), 0
			nodes, err := c.Nodes(within(t, patience))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range nodes {
				server, err := c.Server(within(t, patience), n.Addr)
				if n.Role == "sentinel" {
					if !errors.Is(err, connect.ErrUnknown) {
						t.Errorf("%s, a sentinel: %v", n.Addr, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				defer server.Close()
				info := server.Info(within(t, patience)).Val()
				role := map[string]string{"master": "role:master", "replica": "role:slave"}[n.Role]
				if !strings.Contains(info, role) {
					t.Errorf("%s, a %s, says %.300q", n.Addr, n.Role, info)
				}
				if _, port, err := net.SplitHostPort(n.Addr); err == nil && !strings.Contains(info, "tcp_port:"+port+"\r\n") {
					t.Errorf("%s: another server answers", n.Addr)
				}
				asked++
			}
			if asked == 0 {
				t.Error("no server was asked")
			}
			for _, addr := range []string{"", "127.0.0.1:1", "169.254.169.254:80"} {
				if _, err := c.Server(within(t, patience), addr); !errors.Is(err, connect.ErrUnknown) {
					t.Errorf("%q: %v", addr, err)
				}
			}
		})
	}
	c, err := connect.Open(redistest.Standalone(t).URL, connect.WithName("closed"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Server(t.Context(), "127.0.0.1:1"); !errors.Is(err, connect.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
