package docs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// aclRoles do with a connection what their line of the ACL is for.
var aclRoles = map[string]func(t *testing.T, conn *connect.Conn, other redis.UniversalClient){
	"limits":   useLimits,
	"sessions": useSessions,
	"cache":    useCache,
	"locks":    useLocks,
}

func useLimits(t *testing.T, conn *connect.Conn, _ redis.UniversalClient) {
	l, err := ratelimit.New(conn.Client(), redis_rate.PerMinute(10), ratelimit.WithTimeout(5*time.Second),
		ratelimit.WithLimits(ratelimit.Window(100, time.Minute), ratelimit.Concurrency(5)))
	redistest.NoErrors(t, err)
	var alone []*ratelimit.Limiter // of one policy, which has a key of its own
	for _, limit := range []ratelimit.Limit{ratelimit.Window(100, time.Minute), ratelimit.Concurrency(5)} {
		a, err := ratelimit.New(conn.Client(), limit, ratelimit.WithTimeout(5*time.Second))
		redistest.NoErrors(t, err)
		alone = append(alone, a)
	}
	single, err := ratelimit.New(conn.Client(), redis_rate.PerMinute(10), ratelimit.WithTimeout(5*time.Second))
	redistest.NoErrors(t, err)
	for i := range 20 {
		key := fmt.Sprint(i)
		_, leave, err := l.Enter(t.Context(), key, 1)
		redistest.NoErrors(t, err)
		_, second, err := l.Enter(t.Context(), key, 1) // beside a place that is taken
		redistest.NoErrors(t, err)
		second()
		leave()
		for _, a := range alone {
			_, leave, err := a.Enter(t.Context(), key, 1)
			redistest.NoErrors(t, err)
			_, second, err := a.Enter(t.Context(), key, 1)
			redistest.NoErrors(t, err)
			second()
			leave()
			redistest.NoErrors(t, a.Block(t.Context(), key, time.Minute), a.Reset(t.Context(), key))
		}
		_, err = single.Allow(t.Context(), key)
		redistest.NoErrors(t, err, single.Block(t.Context(), key, time.Minute), single.Reset(t.Context(), key), l.Reset(t.Context(), key))
	}
}

func useSessions(t *testing.T, conn *connect.Conn, _ redis.UniversalClient) {
	m, err := session.New(conn.Client(), session.WithTimeouts(5*time.Second, 5*time.Second), session.WithMaxSessions(2), session.WithWaitReplicas(1, time.Millisecond),
		session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) { t.Errorf("a session: %v", err) }}))
	redistest.NoErrors(t, err)
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if r.URL.Path == "/login" {
			redistest.NoErrors(t, m.Login(ctx, "alice", "", ""))
			return
		}
		m.Put(ctx, "n", m.GetInt(ctx, "n")+1)
		_, err := m.Sessions(ctx, m.User(ctx))
		redistest.NoErrors(t, err)
		if r.URL.Path == "/logout" { // nobody is there to confirm it
			if err := m.Destroy(ctx); err == nil {
				t.Error("WAIT was confirmed without a replica")
			}
		}
	}))
	cookie := ""
	for _, path := range []string{"/login", "/", "/login", "/", "/login", "/", "/logout", "/login"} {
		r := httptest.NewRequest(http.MethodPost, path, nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		for _, c := range w.Result().Cookies() {
			cookie = c.Name + "=" + c.Value
		}
	}
	redistest.NoErrors(t, m.Iterate(t.Context(), func(context.Context) error { return nil }))
	_, _ = m.RevokeAll(t.Context(), "alice")
}

func useCache(t *testing.T, conn *connect.Conn, _ redis.UniversalClient) {
	c, err := cache.New(conn.Client(), cache.WithTimeouts(5*time.Second, 5*time.Second), cache.WithMaxVariants(1), cache.WithMaxBody(1<<20),
		cache.WithHooks(cache.Hooks{Failed: func(_ context.Context, err error) { t.Errorf("the cache: %v", err) }}))
	redistest.NoErrors(t, err)
	redistest.CloseAfter(t, patience, c)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/private":
			w.Header().Set("Cache-Control", "private")
		case "/large":
			w.Header().Set("Cache-Control", "max-age=60")
			_, _ = w.Write(bytes.Repeat([]byte("x"), 2<<20))
			return
		case "/stale": // refreshed by the second request
			w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		case "/broken":
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", "1000000") // its pieces are removed again
			_, _ = w.Write(bytes.Repeat([]byte("x"), 400_000))
			return
		default:
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "Accept")
			w.Header().Set("Surrogate-Key", "a")
		}
		fmt.Fprint(w, strings.Repeat("page", 50_000))
	}))
	for i, path := range []string{"/a", "/a", "/a", "/private", "/broken", "/large", "/stale", "/stale"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Accept", fmt.Sprint(i/2)) // a second variant of /a
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	redistest.NoErrors(t, c.Purge(t.Context(), "http://example.com/a"), c.PurgeTags(t.Context(), "a"), c.SoftPurgeTags(t.Context(), "a"), c.PurgeAll(t.Context()))
	confirmed, err := cache.New(conn.Client(), cache.WithTimeouts(5*time.Second, 5*time.Second), cache.WithWaitReplicas(1, time.Millisecond))
	redistest.NoErrors(t, err)
	redistest.CloseAfter(t, patience, confirmed)
	if err := confirmed.Purge(t.Context(), "http://example.com/a"); !errors.Is(err, cache.ErrUnconfirmed) { // there is no replica
		t.Errorf("WAIT: %v", err)
	}
}

func useLocks(t *testing.T, conn *connect.Conn, other redis.UniversalClient) {
	for name, opts := range map[string][]lockmw.Option{"plain": nil, "shared": {lockmw.WithReadWrite(true)}} {
		opts = append(opts, lockmw.WithName(name), lockmw.WithTimeout(4*time.Second))
		l, err := lockmw.New(conn.Client(), opts...)
		redistest.NoErrors(t, err)
		redistest.CloseAfter(t, patience, l)
		elsewhere, err := lockmw.New(other, opts...)
		redistest.NoErrors(t, err)
		redistest.CloseAfter(t, patience, elsewhere)
		k, err := elsewhere.Acquire(t.Context(), "k")
		redistest.NoErrors(t, err)
		got := make(chan error, 1)
		go func() {
			k, err := l.Acquire(t.Context(), "k")
			if err == nil {
				err = k.Release(t.Context())
			}
			got <- err
		}()
		redistest.Eventually(t, patience, func() bool { info, _ := elsewhere.Inspect(t.Context(), "k"); return info.Waiters == 1 }, "nobody waits")
		redistest.NoErrors(t, k.Release(t.Context()), <-got)
		k, err = l.Acquire(t.Context(), "k")
		redistest.NoErrors(t, err)
		info, err := l.Inspect(t.Context(), "k")
		redistest.NoErrors(t, err)
		if took, err := l.ForceRelease(t.Context(), info.Key, info.Owner); err != nil || !took {
			t.Errorf("%s: force: %v, %v", name, took, err)
		}
		_ = k.Release(t.Context())
	}
	r, err := cronlock.New(conn.Client(), cronlock.WithTakeover(true), cronlock.WithTimeout(5*time.Second))
	redistest.NoErrors(t, err)
	redistest.CloseAfter(t, patience, r)
	j, err := r.Job("report", func(context.Context) error { return nil })
	redistest.NoErrors(t, err)
	_, err = j.Run(t.Context(), time.Now())
	redistest.NoErrors(t, err)
	_, err = j.Status(t.Context())
	redistest.NoErrors(t, err)
}

var aclBlock = regexp.MustCompile("(?ms)^```acl\n(.*?)^```")

// aclScripts are the packages whose scripts a role runs.
var aclScripts = map[string][]string{"limits": {"ratelimit"}, "sessions": {"session", "internal/redigoconn"}, "cache": {"cache/internal/store"}, "locks": {"lockmw", "lockmw/cronlock"}}

var redisCall = regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`)

// calledBy are the commands in the scripts of a role.
func calledBy(t *testing.T, role string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, dir := range aclScripts[role] {
		scripts, err := filepath.Glob(dir + "/*.lua")
		redistest.NoErrors(t, err)
		for _, name := range scripts {
			text, err := os.ReadFile(name)
			redistest.NoErrors(t, err)
			for _, m := range redisCall.FindAllStringSubmatch(string(text), -1) {
				all[strings.ToLower(m[1])] = true
			}
		}
	}
	if len(all) == 0 {
		t.Errorf("role %s has no scripts", role)
	}
	return all
}

// The ACL of the page is enough for each role, on a server and on a cluster:
// Redis denies nothing. It is no more than that, too.
func TestTheACLOfThePageIsEnough(t *testing.T) {
	blocks := aclBlock.FindAllStringSubmatch(deploymentPage(t), -1)
	if len(blocks) != 2 {
		t.Fatalf("there are %d ACLs", len(blocks))
	}
	m := blocks[0]
	rules := strings.Replace(m[1], "user default off", "user default on nopass ~* &* +@all", 1) // for this test itself
	if rules == m[1] {
		t.Error("the default user is not off")
	}
	for role := range aclRoles {
		_, line, _ := strings.Cut(m[1], "user "+role+" ")
		line, _, _ = strings.Cut(line, "\n")
		for command := range calledBy(t, role) {
			if !strings.Contains(line+" ", " +"+command+" ") {
				t.Errorf("a script of %s calls %s", role, command)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "users.acl")
	redistest.NoErrors(t, os.WriteFile(file, []byte(rules), 0o600))
	server := redistest.NewServer(t, redistest.WithArgs("--aclfile", file))
	cluster := redistest.NewCluster(t, 0, redistest.WithArgs("--aclfile", file))
	for _, topology := range []struct {
		target *redistest.Target
		nodes  []*redistest.Server
	}{{server.Target(), []*redistest.Server{server}}, {cluster.Target(), cluster.Nodes}} {
		admin := topology.target.Client(t)
		for role, use := range aclRoles {
			t.Run(topology.target.Name+"/"+role, func(t *testing.T) {
				address, err := url.Parse(topology.target.URL)
				redistest.NoErrors(t, err)
				address.User = url.UserPassword(role, "change-me-"+role)
				conn := connecttest.Open(t, address.String())
				use(t, conn, admin)
				if h := conn.Health(t.Context()); !h.OK {
					t.Errorf("health: %+v", h)
				}
				if _, err := conn.Nodes(t.Context()); err != nil {
					t.Error(err)
				}
				for _, node := range topology.nodes {
					log, err := node.Client(t).ACLLog(t.Context(), 20).Result()
					redistest.NoErrors(t, err)
					for _, e := range log {
						t.Errorf("denied: %s %s (%s)", e.Reason, e.Object, e.Context)
					}
					redistest.NoErrors(t, node.Client(t).Do(t.Context(), "acl", "log", "reset").Err())
				}
				for _, command := range [][]any{{"flushall"}, {"keys", "*"}, {"config", "get", "*"}, {"get", "somebody:else"}, {"publish", "news", "x"}, {"client", "list"}, {"acl", "list"}} {
					if err := conn.Client().Do(t.Context(), command...).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
						t.Errorf("%v: %v, want NOPERM", command, err)
					}
				}
				for _, node := range topology.nodes {
					redistest.NoErrors(t, node.Client(t).Do(t.Context(), "acl", "log", "reset").Err())
				}
			})
		}
	}
}

// aclUser is the command that makes a user of the page.
func aclUser(t *testing.T, block int, name string) []any {
	t.Helper()
	_, line, ok := strings.Cut(aclBlock.FindAllStringSubmatch(deploymentPage(t), -1)[block][1], "user "+name+" ")
	if !ok {
		t.Fatalf("the page has no user %s", name)
	}
	line, _, _ = strings.Cut(line, "\n")
	command := []any{"acl", "setuser", name}
	for rule := range strings.FieldsSeq(line) {
		command = append(command, rule)
	}
	return command
}

// Opening a connection needs no right beyond those of the page, to data nodes, for
// messages and to sentinels: each server since Redis 7.2 would note what it denied.
func TestConnectionsOfTheDocumentedUsersAreDeniedNothing(t *testing.T) {
	servers := redistest.NewSentinel(t)
	for _, s := range servers.Data {
		redistest.NoErrors(t, s.Client(t).Do(t.Context(), aclUser(t, 0, "locks")...).Err())
	}
	for _, s := range servers.Sentinels {
		redistest.NoErrors(t, s.Client(t).Do(t.Context(), aclUser(t, 1, "watch")...).Err())
	}
	config, err := connect.Parse(servers.Target().URL)
	redistest.NoErrors(t, err)
	config.Username, config.Password = "locks", "change-me-locks"
	config.SentinelUsername, config.SentinelPassword = "watch", "change-me-watch"
	for range 10 {
		conn, err := connect.New(config, connect.WithName("test"))
		redistest.NoErrors(t, err)
		redistest.CloseAfter(t, patience, conn)
		redistest.NoErrors(t, conn.Ready(t.Context()))
		messages := conn.Client().Subscribe(t.Context(), "lockmw:v1:test")
		_, err = messages.Receive(t.Context())
		redistest.NoErrors(t, err, messages.Close())
		if h := conn.Health(t.Context()); !h.OK {
			t.Errorf("health: %+v", h)
		}
	}
	for _, s := range append(servers.Data, servers.Sentinels...) {
		log, err := s.Client(t).ACLLog(t.Context(), 100).Result()
		redistest.NoErrors(t, err)
		for _, e := range log {
			t.Errorf("%s denied %d times: %s %s (%s)", s.Addr(), e.Count, e.Reason, e.Object, e.Context)
		}
	}
}

// The second ACL is enough for sentinels, also in a failover.
func TestTheACLOfSentinelsIsEnough(t *testing.T) {
	servers := redistest.NewSentinel(t)
	for _, s := range servers.Sentinels {
		redistest.NoErrors(t, s.Client(t).Do(t.Context(), aclUser(t, 1, "watch")...).Err())
	}
	config, err := connect.Parse(servers.Target().URL)
	redistest.NoErrors(t, err)
	config.SentinelUsername, config.SentinelPassword = "watch", "change-me-watch"
	conn, err := connect.New(config, connect.WithName("test"))
	redistest.NoErrors(t, err)
	redistest.CloseAfter(t, patience, conn)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	redistest.NoErrors(t, conn.Ready(ctx))
	if nodes, err := conn.Nodes(ctx); err != nil || len(nodes) != 2+len(servers.Sentinels) {
		t.Errorf("nodes: %v, %v", nodes, err)
	}
	old := servers.Master()
	old.Kill()
	servers.WaitPromoted(t, old)
	redistest.Eventually(t, patience, func() bool { return conn.Client().Set(ctx, "k", 1, 0).Err() == nil }, "no failover")
	for _, s := range servers.Sentinels {
		log, err := s.Client(t).ACLLog(t.Context(), 20).Result()
		redistest.NoErrors(t, err)
		for _, e := range log {
			t.Errorf("denied: %s %s", e.Reason, e.Object)
		}
	}
}
