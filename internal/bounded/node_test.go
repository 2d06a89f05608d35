package bounded_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/redistest"
)

// ring is a client of servers by name, with the servers.
func ring(t *testing.T, n int) (*redis.Ring, map[string]*redistest.Server) {
	t.Helper()
	addrs, servers := map[string]string{}, map[string]*redistest.Server{}
	for i := range n {
		s := redistest.NewServer(t)
		addrs[strconv.Itoa(i)], servers[s.Addr()] = s.Addr(), s
	}
	rdb := redis.NewRing(&redis.RingOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	return rdb, servers
}

// calls is how often a server has executed a command.
func calls(t *testing.T, s *redistest.Server, command string) int {
	t.Helper()
	info, err := s.Client(t).Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(info, "cmdstat_"+command+":calls=")
	if !ok {
		return 0
	}
	text, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wrapped is a client inside another, as connect's Batched is.
type wrapped struct{ inner redis.UniversalClient }

func (w wrapped) Unwrap() redis.UniversalClient { return w.inner }

func TestNodeOf(t *testing.T) {
	c := redistest.NewCluster(t, 0)
	cluster := c.Target().Client(t)
	shards, servers := ring(t, 2)
	for i := range 20 {
		key := fmt.Sprint("key", i)
		for name, rdb := range map[string]any{"cluster": cluster, "wrapped": wrapped{cluster}} {
			node, err := bounded.NodeOf(t.Context(), rdb, key)
			if err != nil || node.Options().Addr != c.MasterOf(t, key).Addr() {
				t.Errorf("%s, %s: got %v, %v, want %s", name, key, node, err, c.MasterOf(t, key).Addr())
			}
		}
		if err := shards.Set(t.Context(), key, "x", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		node, err := bounded.NodeOf(t.Context(), shards, key)
		if err != nil {
			t.Fatal(err)
		}
		if n := servers[node.Options().Addr].Client(t).Exists(t.Context(), key).Val(); n != 1 {
			t.Errorf("%s is not on the shard %s", key, node.Options().Addr)
		}
	}
	single := redistest.NewServer(t).Client(t)
	for name, rdb := range map[string]any{"single": single, "unknown": struct{}{}, "nil": nil} {
		if node, err := bounded.NodeOf(t.Context(), rdb, "k"); node != nil || err != nil {
			t.Errorf("%s: got %v, %v, want none", name, node, err)
		}
	}
	for name, tc := range map[string]struct {
		rdb  any
		want bool
	}{"cluster": {cluster, true}, "ring": {shards, true}, "single": {single, true}, "unknown": {struct{}{}, false}} {
		if got := bounded.TellsNodes(tc.rdb); got != tc.want {
			t.Errorf("%s tells its nodes: got %t", name, got)
		}
	}
}

// touch writes the TTL of a key, as the packages do before WAIT.
func touch(ctx context.Context) func(redis.Pipeliner, string) {
	return func(p redis.Pipeliner, key string) { p.PExpire(ctx, key, time.Hour) }
}

// WAIT goes once to each master that has one of the keys, and to no other.
func TestConfirmAsksEachMasterOnce(t *testing.T) {
	c := redistest.NewCluster(t, 1)
	rdb := c.Target().Client(t)
	byMaster := map[*redistest.Server][]string{}
	for i := 0; len(byMaster) < 2 || i < 20; i++ {
		key := fmt.Sprint("key", i)
		if m := c.MasterOf(t, key); len(byMaster) < 2 || byMaster[m] != nil { // two of the three
			byMaster[m] = append(byMaster[m], key)
		}
	}
	var keys []string
	for _, of := range byMaster {
		keys = append(keys, of...)
	}
	for _, key := range keys {
		if err := rdb.Set(t.Context(), key, "x", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	caller := bounded.New(rdb)
	if err := caller.Confirm(t.Context(), keys, touch(t.Context()), bounded.Replicas{N: 1, Patience: patience}); err != nil {
		t.Errorf("one replica of each: %v", err)
	}
	for _, m := range c.Masters() {
		want := 0
		if byMaster[m] != nil {
			want = 1
		}
		if got := calls(t, m, "wait"); got != want {
			t.Errorf("%s: %d WAIT, want %d", m.Addr(), got, want)
		}
	}
	touched := 0
	for _, key := range keys {
		if rdb.PTTL(t.Context(), key).Val() > 30*time.Minute {
			touched++
		}
	}
	if touched != 2 {
		t.Errorf("%d keys are touched, want one of each master", touched)
	}
	err := caller.Confirm(t.Context(), keys, touch(t.Context()), bounded.Replicas{N: 2, Patience: 10 * time.Millisecond})
	if err == nil || strings.Count(err.Error(), "1 of 2 replicas") != 2 {
		t.Errorf("two replicas where there is one: got %v", err)
	}
}

func TestConfirmAsksTheShard(t *testing.T) {
	rdb, servers := ring(t, 3)
	node, err := bounded.NodeOf(t.Context(), rdb, "k")
	if err != nil {
		t.Fatal(err)
	}
	err = bounded.New(rdb).Confirm(t.Context(), []string{"k"}, touch(t.Context()), bounded.Replicas{N: 1, Patience: 10 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "0 of 1 replicas") {
		t.Errorf("no replica: got %v", err)
	}
	for addr, s := range servers {
		want := 0
		if addr == node.Options().Addr {
			want = 1
		}
		if got := calls(t, s, "wait"); got != want {
			t.Errorf("%s: %d WAIT, want %d", addr, got, want)
		}
	}
}

func TestConfirmFailures(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	plain := struct{ bounded.Client }{rdb} // hides Pipeline
	if err := bounded.New(plain).Confirm(t.Context(), []string{"k"}, touch(t.Context()), bounded.Replicas{N: 1, Patience: time.Millisecond}); err == nil {
		t.Error("a client without pipelines: no error")
	}
	s.Kill()
	if err := bounded.New(rdb).Confirm(t.Context(), []string{"k"}, touch(t.Context()), bounded.Replicas{N: 1, Patience: time.Millisecond}); err == nil {
		t.Error("a dead server: no error")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bounded.New(rdb).Confirm(ended, []string{"k"}, touch(ended), bounded.Replicas{N: 1, Patience: time.Millisecond}); err == nil {
		t.Error("a context that has ended: no error")
	}
}

// A script is loaded on the node of its key alone, and comes back after the
// server has forgotten it.
func TestRunLoadsOnTheNodeOfTheKey(t *testing.T) {
	c := redistest.NewCluster(t, 0)
	caller := bounded.New(c.Target().Client(t))
	script := redis.NewScriptServerSHA("return redis.call('INCR', KEYS[1])")
	master := c.MasterOf(t, "k")
	for want := range 3 {
		if n, err := caller.Run(t.Context(), script, []string{"k"}).Int(); n != want+1 || err != nil {
			t.Fatalf("run %d: got %d, %v", want, n, err)
		}
	}
	for _, m := range c.Masters() {
		want := 0
		if m == master {
			want = 1
		}
		if got := calls(t, m, "script|load"); got != want {
			t.Errorf("%s: %d SCRIPT LOAD, want %d", m.Addr(), got, want)
		}
	}
	master.FlushScripts(t)
	if n, err := caller.Run(t.Context(), script, []string{"k"}).Int(); n != 4 || err != nil {
		t.Errorf("after SCRIPT FLUSH: got %d, %v, want 4", n, err)
	}
}

// Of a client that does not tell its nodes, that of the key says the hash.
func TestRunWithAnUnknownClient(t *testing.T) {
	s := redistest.NewServer(t)
	caller := bounded.New(struct{ bounded.Client }{s.Client(t)})
	script := redis.NewScriptServerSHA("return redis.call('INCR', KEYS[1])")
	for want := range 3 {
		if n, err := caller.Run(t.Context(), script, []string{"k"}).Int(); n != want+1 || err != nil {
			t.Fatalf("run %d: got %d, %v", want, n, err)
		}
	}
	if got := calls(t, s, "script|load"); got != 0 {
		t.Errorf("%d SCRIPT LOAD, want none", got)
	}
}
