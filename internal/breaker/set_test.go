package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redishttp/redishttp/internal/breaker"
)

// fakeCluster knows the masters of keys; nil masters are a topology that was
// not read yet.
type fakeCluster struct {
	masters map[string]*redis.Client
	reloads atomic.Int32
}

func (c *fakeCluster) MasterForKey(_ context.Context, key string) (*redis.Client, error) {
	if c.masters == nil {
		return nil, io.EOF
	}
	return c.masters[key], nil
}

func (c *fakeCluster) ReloadState(context.Context) { c.reloads.Add(1) }

type fakeRing map[string]*redis.Client

func (r fakeRing) GetShardClientForKey(key string) (*redis.Client, error) {
	if c := r[key]; c != nil {
		return c, nil
	}
	return nil, errors.New("redis: all ring shards are down")
}

func node(t *testing.T, addr string) *redis.Client {
	t.Helper()
	// In automatic mode NewClient looks the name up, which no bubble of synctest may share.
	c := redis.NewClient(&redis.Options{Addr: addr, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	t.Cleanup(func() { c.Close() })
	return c
}

// call is one call with this end.
func call(s *breaker.Set, key string, err error) (breaker.Event, bool) {
	c, ok := s.Allow(key)
	if !ok {
		return breaker.Event{}, false
	}
	return s.Report(c, err), true
}

func fail(t *testing.T, s *breaker.Set, key string, n int) (last breaker.Event) {
	t.Helper()
	for i := range n {
		e, ok := call(s, key, io.EOF)
		if !ok {
			t.Fatalf("%s: refused after %d failures", key, i)
		}
		last = e
	}
	return last
}

func TestSetCutsOffOneNode(t *testing.T) {
	a, b := node(t, "a:1"), node(t, "b:1")
	for name, rdb := range map[string]any{
		"cluster": &fakeCluster{masters: map[string]*redis.Client{"a": a, "b": b}},
		"ring":    fakeRing{"a": a, "b": b},
		"unknown": struct{}{},
		"nil":     nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := breaker.NewSet(rdb)
			call(s, "b", nil)
			e := fail(t, s, "a", 5)
			if e.Change != breaker.Opened || !e.First || name != "unknown" && name != "nil" && e.Addr != "a:1" {
				t.Errorf("after five failures: %+v", e)
			}
			if _, ok := call(s, "a", nil); ok {
				t.Error("a was asked")
			}
			for range 100 {
				if _, ok := call(s, "b", nil); !ok {
					t.Fatal("b was not asked")
				}
			}
		})
	}
}

// One client, one breaker: keys make no difference.
func TestSetOfOneNode(t *testing.T) {
	s := breaker.NewSet(node(t, "a:1"))
	for i := range 5 {
		fail(t, s, fmt.Sprint(i), 1)
	}
	if _, ok := s.Allow("other"); ok {
		t.Error("asked after five failures of one server")
	}
}

// A client of which nothing is known and that is away altogether is not asked
// part by part.
func TestSetOfAnUnknownClientThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := breaker.NewSet(struct{}{})
		asked := 0
		for i := range 1000 {
			if _, ok := call(s, fmt.Sprint(i), io.EOF); ok {
				asked++
			}
		}
		if asked > 40 {
			t.Errorf("%d of 1000 calls waited for it", asked)
		}
		time.Sleep(1201 * time.Millisecond)
		asked = 0
		for i := range 1000 {
			if _, ok := call(s, fmt.Sprint(i), io.EOF); ok {
				asked++
			}
		}
		if asked != 1 {
			t.Errorf("%d probes, want 1", asked)
		}
		time.Sleep(1201 * time.Millisecond)
		e, ok := call(s, "0", nil)
		if !ok || e.Change != breaker.Closed || !e.Last {
			t.Errorf("answered: %v, %+v", ok, e)
		}
		if _, ok := call(s, "1", nil); !ok {
			t.Error("not asked after an answer")
		}
	})
}

// A failover moves the keys to another node, which is asked at once; the outage
// is over, although the old master is as dead as before.
func TestSetFollowsAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, replica := node(t, "a:1"), node(t, "b:1"), node(t, "a:2")
		c := &fakeCluster{masters: map[string]*redis.Client{"a": a, "b": b}}
		s := breaker.NewSet(c)
		call(s, "b", nil)
		fail(t, s, "a", 5)
		if c.reloads.Load() != 1 {
			t.Errorf("the topology was asked for %d times, want once", c.reloads.Load())
		}
		time.Sleep(1201 * time.Millisecond)
		fail(t, s, "a", 1)
		if c.reloads.Load() != 2 {
			t.Errorf("after a probe that failed the topology was asked for %d times, want twice", c.reloads.Load())
		}
		c.masters = map[string]*redis.Client{"a": replica, "b": b}
		e, ok := call(s, "a", nil)
		if !ok {
			t.Fatal("the new master is not asked")
		}
		if e.Change != breaker.Closed || !e.Last || e.Addr != "a:1" {
			t.Errorf("got %+v, want the end of the outage", e)
		}
		c.masters = map[string]*redis.Client{"a": a, "b": b}
		if _, ok := call(s, "a", nil); !ok {
			t.Error("the old master is not asked when it is master again")
		}
	})
}

// Several nodes away are one outage: it begins with the first and ends with the last.
func TestSetFirstAndLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := breaker.NewSet(&fakeCluster{masters: map[string]*redis.Client{"a": node(t, "a:1"), "b": node(t, "b:1"), "c": node(t, "c:1")}})
		call(s, "c", nil)
		if e := fail(t, s, "a", 5); !e.First {
			t.Errorf("first: %+v", e)
		}
		if e := fail(t, s, "b", 5); e.Change != breaker.Opened || e.First {
			t.Errorf("second: %+v", e)
		}
		time.Sleep(1201 * time.Millisecond)
		if e, _ := call(s, "a", nil); e.Change != breaker.Closed || e.Last {
			t.Errorf("one is back: %+v", e)
		}
		if e, _ := call(s, "b", nil); e.Change != breaker.Closed || !e.Last {
			t.Errorf("both are back: %+v", e)
		}
	})
}

// Before the topology is known nobody asks for it, and the first failures tell
// whether it is by now.
func TestSetLearnsTheTopology(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCluster{}
		s := breaker.NewSet(c)
		fail(t, s, "a", 5)
		if _, ok := s.Allow("b"); ok {
			t.Error("asked a cluster of which no node answers")
		}
		time.Sleep(1201 * time.Millisecond)
		c.masters = map[string]*redis.Client{"a": node(t, "a:1"), "b": node(t, "b:1")}
		fail(t, s, "a", 1) // the probe
		e, ok := call(s, "b", nil)
		if !ok {
			t.Error("b is not asked although it is known")
		}
		if !e.Last {
			t.Errorf("got %+v, want the end of the outage", e)
		}
	})
}

func TestAllowAll(t *testing.T) {
	a, b := node(t, "a:1"), node(t, "b:1")
	s := breaker.NewSet(fakeRing{"a1": a, "a2": a, "b1": b, "b2": b})
	fail(t, s, "a1", 5)
	calls, refused := s.AllowAll([]string{"a1", "b1", "a2", "b2"})
	if len(calls) != 1 || fmt.Sprint(calls[0].Keys) != "[b1 b2]" || fmt.Sprint(refused) != "[a1 a2]" {
		t.Errorf("got %v, refused %v", calls, refused)
	}
}

func TestOf(t *testing.T) {
	long, short := time.Second, time.Millisecond
	timeout := &net.OpError{Op: "read", Err: context.DeadlineExceeded}
	for _, tc := range []struct {
		err  error
		took time.Duration
		want breaker.Outcome
	}{
		{nil, long, breaker.Answered},
		{redis.Nil, long, breaker.Answered},
		{answer("WRONGTYPE Operation against a key"), long, breaker.Answered},
		{answer("OOM command not allowed"), long, breaker.Answered},
		{answer("NOPERM this user has no permissions"), long, breaker.Answered},
		{answer("LOADING Redis is loading"), long, breaker.Answered},
		{answer("READONLY You can't write"), long, breaker.Answered},
		{answer("CLUSTERDOWN The cluster is down"), long, breaker.Answered},
		{answer("TRYAGAIN Multiple keys"), long, breaker.Answered},
		{fmt.Errorf("evalsha: %w", answer("NOSCRIPT")), long, breaker.Answered},
		{breaker.AnswerError{Err: io.EOF}, long, breaker.Answered},
		{answer("ERR max number of clients reached"), long, breaker.Failed},
		{io.EOF, long, breaker.Failed},
		{io.ErrUnexpectedEOF, long, breaker.Failed},
		{context.DeadlineExceeded, long, breaker.Failed},
		{timeout, long, breaker.Failed},
		{errors.New("redis: cluster has no nodes"), long, breaker.Failed},
		{errors.New("redis: all ring shards are down"), long, breaker.Failed},
		{context.DeadlineExceeded, short, breaker.NoVerdict},
		{context.Canceled, long, breaker.NoVerdict},
		{redis.ErrPoolTimeout, long, breaker.NoVerdict},
		{breaker.ErrOpen, long, breaker.NoVerdict},
		{errors.New("can't marshal"), long, breaker.NoVerdict},
	} {
		if got := breaker.Of(tc.err, tc.took); got != tc.want {
			t.Errorf("%v after %v: got %v, want %v", tc.err, tc.took, got, tc.want)
		}
	}
}

// answer is an error in Redis' words.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestAllowDoesNotAllocate(t *testing.T) {
	a := node(t, "a:1")
	for name, rdb := range map[string]any{"one": a, "cluster": &fakeCluster{masters: map[string]*redis.Client{"{a}": a}}, "ring": fakeRing{"{a}": a}, "unknown": struct{}{}} {
		s := breaker.NewSet(rdb)
		call(s, "{a}", nil)
		if n := testing.AllocsPerRun(100, func() { call(s, "{a}", nil) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A ring that has no shard for a key, and a cluster that knows no master of it,
// are one node.
func TestSetOfKeysWithoutANode(t *testing.T) {
	known := &fakeCluster{masters: map[string]*redis.Client{"a": node(t, "a:1")}}
	for name, tc := range map[string]struct {
		rdb    any
		before func(s *breaker.Set)
	}{
		"ring":    {fakeRing{}, func(*breaker.Set) {}},
		"cluster": {known, func(s *breaker.Set) { call(s, "a", nil); known.masters = nil }},
	} {
		s := breaker.NewSet(tc.rdb)
		tc.before(s)
		for i := range 5 {
			fail(t, s, fmt.Sprint(i), 1)
		}
		if _, ok := s.Allow("other"); ok {
			t.Errorf("%s: asked after five failures", name)
		}
	}
}

// Without a topology, keys with one hash tag are on one node.
func TestHashTagsShareABreaker(t *testing.T) {
	for _, tc := range []struct {
		failed, other string
		allowed       bool
	}{{"{u}:1", "{u}:2", false}, {"x{u}", "{u}", false}, {"{u}{v}", "{u}{w}", false}, {"{u}:1", "{v}:1", true}, {"{}u", "{}v", true}} {
		s := breaker.NewSet(nil)
		fail(t, s, tc.failed, 5)
		if _, ok := s.Allow(tc.other); ok != tc.allowed {
			t.Errorf("%s is away: %s is allowed %t, want %t", tc.failed, tc.other, ok, tc.allowed)
		}
	}
}

func TestErrorsOfARefusal(t *testing.T) {
	var b breaker.Breaker
	if err := b.Err(); err != breaker.ErrOpen || b.Cause() != nil { //nolint:errorlint // that value and no other
		t.Errorf("without a failure: got %v, cause %v", err, b.Cause())
	}
	open(t, &b)
	if err := b.Err(); !errors.Is(err, breaker.ErrOpen) || !errors.Is(err, io.EOF) || b.Cause() != io.EOF { //nolint:errorlint // as reported
		t.Errorf("open: got %v, cause %v", err, b.Cause())
	}
	said := breaker.AnswerError{Err: fmt.Errorf("WRONGTYPE: %w", io.EOF)}
	var answer redis.Error
	if !errors.As(fmt.Errorf("get: %w", said), &answer) || !errors.Is(said, io.EOF) || said.Error() != "WRONGTYPE: EOF" {
		t.Errorf("an answer of another client: got %v", said)
	}
}
