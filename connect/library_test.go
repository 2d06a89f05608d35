package connect_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// wiretap keeps what connections send.
type wiretap struct {
	mu   sync.Mutex
	sent map[string]*bytes.Buffer // by address
}

type tapped struct {
	net.Conn
	tap *wiretap
}

func (c tapped) Write(b []byte) (int, error) {
	c.tap.mu.Lock()
	addr := c.RemoteAddr().String()
	if c.tap.sent[addr] == nil {
		c.tap.sent[addr] = &bytes.Buffer{}
	}
	c.tap.sent[addr].Write(b)
	c.tap.mu.Unlock()
	return c.Conn.Write(b)
}

func (w *wiretap) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return tapped{conn, w}, nil
}

// No connection sends CLIENT SETINFO, to data nodes, for messages or to sentinels,
// unless WithLibraryName asks for it; then each does.
func TestOnlyWithLibraryNameIsClientSetinfoSent(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for _, name := range []string{"", "shop"} {
			tap := &wiretap{sent: map[string]*bytes.Buffer{}}
			c := open(t, g.URL, connect.WithDialer(tap.dial), connect.WithLibraryName(name))
			ctx := within(t, patience)
			redistest.NoErrors(t, c.Ready(ctx), c.Client().Set(ctx, redistest.Prefix(t), 1, 0).Err())
			messages := c.Client().Subscribe(ctx, redistest.Prefix(t))
			_, err := messages.Receive(ctx)
			redistest.NoErrors(t, err, messages.Close())
			nodes, err := c.Nodes(ctx)
			redistest.NoErrors(t, err)
			if got := len(nodes); g.Name == "sentinel" && got != 5 || g.Name == "cluster" && got != 3 {
				t.Errorf("%d servers", got)
			}
			tap.mu.Lock()
			for addr, sent := range tap.sent {
				if got := strings.Contains(strings.ToLower(sent.String()), "setinfo"); got != (name != "") {
					t.Errorf("library name %q: CLIENT SETINFO is sent to %s: %v", name, addr, got)
				}
				if name != "" && !strings.Contains(sent.String(), "go-redis(shop,") {
					t.Errorf("%s is not told the name", addr)
				}
			}
			if want := map[string]int{"standalone": 1, "cluster": 3, "sentinel": 4}[g.Name]; len(tap.sent) < want {
				t.Errorf("%d servers were dialled, want %d", len(tap.sent), want)
			}
			tap.mu.Unlock()
		}
	})
}
