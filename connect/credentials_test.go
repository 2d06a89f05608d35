package connect_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9/auth"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// rotate gives the user a new password on all servers and drops every
// connection that used the old one.
func rotate(t *testing.T, servers []*redistest.Server, user, password string) {
	t.Helper()
	for _, s := range servers {
		admin := s.Client(t)
		if err := admin.Do(t.Context(), "ACL", "SETUSER", user, "resetpass", ">"+password, "on").Err(); err != nil {
			t.Fatal(err)
		}
		if err := admin.ClientKillByFilter(t.Context(), "USER", user).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCredentialsRotate(t *testing.T) {
	t.Parallel()
	admin := redistest.WithACL("admin", "admin")
	for name, start := range map[string]func(t *testing.T) (string, []*redistest.Server){
		"standalone": func(t *testing.T) (string, []*redistest.Server) {
			s := redistest.NewServer(t, admin)
			return "redis://" + s.Addr(), []*redistest.Server{s}
		},
		"cluster": func(t *testing.T) (string, []*redistest.Server) {
			c := redistest.NewCluster(t, 0, admin)
			return "redis+cluster://" + c.Nodes[0].Addr(), c.Nodes
		},
		"sentinel": func(t *testing.T) (string, []*redistest.Server) {
			s := redistest.NewSentinel(t, redistest.WithData(admin))
			return "redis+sentinel://" + s.Sentinels[0].Addr() + "/" + redistest.MasterName, s.Data
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, servers := start(t)
			for _, s := range servers {
				if err := s.Client(t).Do(t.Context(), "ACL", "SETUSER", "app", "on", ">first", "~*", "&*", "+@all").Err(); err != nil {
					t.Fatal(err)
				}
			}
			var current atomic.Value
			current.Store("first")
			file := filepath.Join(t.TempDir(), "password")
			write := func(password string) {
				current.Store(password)
				next := file + ".next"
				if err := os.WriteFile(next, []byte(password+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(next, file); err != nil {
					t.Fatal(err)
				}
			}
			write("first")
			conns := map[string]*connect.Conn{
				"provider": open(t, url, connect.WithCredentials(func(context.Context) (string, string, error) {
					return "app", current.Load().(string), nil
				})),
				"file": open(t, url, connect.WithPasswordFile("app", file)),
			}
			for how, c := range conns {
				if err := c.Ready(within(t, patience)); err != nil {
					t.Fatalf("%s: %v", how, err)
				}
			}
			rotate(t, servers, "app", "second")
			for how, c := range conns {
				if err := c.Client().Get(within(t, patience), "k").Err(); !strings.Contains(fmt.Sprint(err), "WRONGPASS") {
					t.Errorf("%s: with the old password got %v, want WRONGPASS", how, err)
				}
			}
			write("second")
			for how, c := range conns {
				if err := c.Ready(within(t, patience)); err != nil {
					t.Errorf("%s after the rotation: %v", how, err)
				}
				for i := range 20 {
					if err := c.Client().Set(within(t, patience), string(rune('a'+i)), 1, 0).Err(); err != nil {
						t.Errorf("%s after the rotation: %v", how, err)
					}
				}
			}
			// A file that is gone for a moment must not cut the service off.
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			rotate(t, servers, "app", "second")
			if err := conns["file"].Ready(within(t, patience)); err != nil {
				t.Errorf("without the file: %v, want the last known password", err)
			}
		})
	}
}

// pushed hands out credentials and pushes changes to open connections, as the
// client of a cloud's identity service does.
type pushed struct {
	mu        sync.Mutex
	now       auth.Credentials
	listeners []auth.CredentialsListener
}

func (p *pushed) Subscribe(l auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listeners = append(p.listeners, l)
	return p.now, func() error { return nil }, nil
}

func (p *pushed) push(c auth.Credentials) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = c
	for _, l := range p.listeners {
		l.OnNext(c)
	}
}

func TestPushedCredentialsReachOpenConnections(t *testing.T) {
	s := redistest.NewServer(t, redistest.WithACL("admin", "admin"))
	for _, user := range []string{"one", "two"} {
		if err := s.Client(t).Do(t.Context(), "ACL", "SETUSER", user, "on", ">pw"+user, "~*", "&*", "+@all").Err(); err != nil {
			t.Fatal(err)
		}
	}
	provider := &pushed{now: auth.NewBasicCredentials("one", "pwone")}
	c := open(t, "redis://"+s.Addr(), connect.WithStreamingCredentials(provider), connect.WithPool(1, 0))
	whoami := func() (string, int64) {
		user, err := c.Client().Do(within(t, patience), "ACL", "WHOAMI").Text()
		if err != nil {
			t.Fatal(err)
		}
		return user, c.Client().ClientID(t.Context()).Val()
	}
	user, id := whoami()
	if user != "one" {
		t.Fatalf("got %q, want one", user)
	}
	provider.push(auth.NewBasicCredentials("two", "pwtwo"))
	redistest.Eventually(t, patience, func() bool {
		now, same := whoami()
		return now == "two" && same == id
	}, "the open connection keeps its old user")
}
