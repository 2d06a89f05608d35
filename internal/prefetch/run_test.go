package prefetch_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/prefetch"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A handler behind a foreign one is asked from its second request on, and all handlers
// of an owner are one.
func TestHandlersAreLearned(t *testing.T) {
	c := bounded.New(redistest.Standalone(t).Client(t))
	prefix, owner := redistest.Prefix(t), new(int)
	visits := 0
	inner := func() *handler {
		return &handler{owner: owner, ask: func(b *prefetch.Batch, h *handler) {
			visits++
			q, _, _ := get(c, prefix)
			asks(q)(b, h)
		}}
	}
	run := prefetch.NewRun(http.NotFoundHandler())
	if run.Next() != nil || run.Batch(requestOf(context.Background())) != nil {
		t.Fatal("a batch without anything to ask")
	}
	ctx := context.WithValue(t.Context(), prefetch.RunKey{}, run)
	prefetch.Take(ctx, inner())
	prefetch.Take(ctx, inner())
	for i := range 3 {
		batch, ctx := begin(run)
		if _, err := send(batch, c, prefix+"own"); err != nil {
			t.Fatal(err)
		}
		h := inner() // made for this request
		if q, outcome := prefetch.Take(ctx, h); q == nil || outcome != prefetch.Answered || !prefetch.Visited(ctx, h) {
			t.Errorf("request %d: %v, %v", i, q, outcome)
		}
		batch.Close()
	}
	if visits != 3 {
		t.Errorf("asked %d times in 3 requests", visits)
	}
}

// What is directly inside is not learned as well.
func TestNextIsNotLearned(t *testing.T) {
	visits := 0
	next := &handler{ask: func(*prefetch.Batch, *handler) { visits++ }}
	run := prefetch.NewRun(next)
	if run.Next() != prefetch.Handler(next) {
		t.Fatal("next is not known")
	}
	prefetch.Learn(context.WithValue(t.Context(), prefetch.RunKey{}, run), next)
	run.Batch(requestOf(t.Context())).Send()
	if visits != 1 {
		t.Errorf("asked %d times", visits)
	}
}

// The handlers that one beginner asks are bounded, and those that do not turn up again
// make room.
func TestMembersAreForgotten(t *testing.T) {
	run := prefetch.NewRun(http.NotFoundHandler())
	ctx := context.WithValue(t.Context(), prefetch.RunKey{}, run)
	visits := map[string]int{}
	made := func(name string) *handler {
		return &handler{ask: func(*prefetch.Batch, *handler) { visits[name]++ }}
	}
	for i := range 20 {
		prefetch.Learn(ctx, made(fmt.Sprint(i)))
	}
	run.Batch(requestOf(t.Context())).Send()
	if len(visits) != 8 {
		t.Fatalf("%d handlers are asked, want 8", len(visits))
	}
	used := made("used")
	for range 998 {
		run.Batch(requestOf(t.Context())).Send()
	}
	if prefetch.Learn(ctx, used); visits["used"] != 0 {
		t.Error("learned beyond the bound")
	}
	run.Batch(requestOf(t.Context())).Send() // the thousandth
	clear(visits)
	prefetch.Learn(ctx, used)
	for range 3000 {
		run.Batch(requestOf(t.Context())).Send()
		prefetch.Learn(ctx, used) // it turns up
	}
	if len(visits) != 1 || visits["used"] != 3000 {
		t.Errorf("asked: %v, want used 3000 times", visits)
	}
}

// Of two beginners the outer one learns; the inner one leaves out what the outer one
// has asked, and its handlers find both batches.
func TestABeginnerInsideOfAnother(t *testing.T) {
	c := bounded.New(redistest.Standalone(t).Client(t))
	prefix := redistest.Prefix(t)
	qa, _, toldA := get(c, prefix+"a")
	qb, _, toldB := get(c, prefix+"b")
	a, b := &handler{ask: asks(qa)}, &handler{ask: asks(qb)}
	outer, inner := prefetch.NewRun(a), prefetch.NewRun(&handler{next: b})
	first, ctx := begin(outer)
	if _, err := send(first, c, prefix+"own"); err != nil {
		t.Fatal(err)
	}
	if got := inner.In(ctx); got != any(outer) {
		t.Errorf("the run of a request in both: %v, want the outer one", got)
	}
	if got := inner.In(context.Background()); got != any(inner) {
		t.Errorf("the run of a request in one: %v", got)
	}
	var none *prefetch.Run
	if got := none.In(context.Background()); got != nil {
		t.Errorf("the run of no beginner: %v", got)
	}
	prefetch.Learn(context.WithValue(t.Context(), prefetch.RunKey{}, inner), a) // from a request that the outer one let pass
	second := inner.Batch(requestOf(ctx))
	if _, err := send(second, c, prefix+"own"); err != nil {
		t.Fatal(err)
	}
	ctx = context.WithValue(ctx, prefetch.Key{}, second)
	for name, h := range map[string]*handler{"a": a, "b": b} {
		if q, outcome := prefetch.Take(ctx, h); q == nil || outcome != prefetch.Answered {
			t.Errorf("%s: %v, %v", name, q, outcome)
		}
	}
	second.Close()
	first.Close()
	for name, told := range map[string]*asker{"a": toldA, "b": toldB} {
		if reports, unused := told.told(); len(reports) != 1 || len(unused) != 0 {
			t.Errorf("%s: told %v, %v", name, reports, unused)
		}
	}
}

func TestUsage(t *testing.T) {
	var u prefetch.Usage
	c := prefetch.ClassOf(httptest.NewRequest(http.MethodGet, "/static/a.css", nil))
	for i := range 6 {
		if got, want := u.Wanted(c), i < 4; got != want {
			t.Errorf("after %d unused: wanted %t", i, got)
		}
		u.Drop(c)
	}
	if u.Asked(c); !u.Wanted(c) {
		t.Error("not wanted after a request that asked by itself")
	}
	u.Change(c)
	for range 64 {
		if u.Wanted(c) {
			t.Fatal("wanted although the question is changed each time")
		}
		u.Asked(c)
	}
	if !u.Wanted(c) {
		t.Error("never wanted again")
	}
	u.Drop(c)
	u.Take(c)
	for range 3 {
		u.Drop(c)
	}
	if used, unused := u.Used.Load(), u.Unused.Load(); !u.Wanted(c) || used != 1 || unused != 11 {
		t.Errorf("wanted %t, %d used, %d unused", u.Wanted(c), used, unused)
	}
}

func TestClassOf(t *testing.T) {
	class := func(method, target string) prefetch.Class {
		return prefetch.ClassOf(httptest.NewRequest(method, target, nil))
	}
	for _, same := range [][2]string{{"/a/b", "/a/c/d"}, {"/a?x=1", "/a"}, {"/css/a.css", "/css/b.css"}, {"/", "/"}} {
		if class("GET", same[0]) != class("GET", same[1]) {
			t.Errorf("%v are of two classes", same)
		}
	}
	classes := map[prefetch.Class]bool{} // a byte: some of 24 kinds may share one
	for _, method := range []string{"GET", "POST"} {
		for _, segment := range []string{"", "static", "api", "users"} {
			for _, name := range []string{"/a", "/a.css", "/a.html"} {
				classes[class(method, "/"+segment+name)] = true
			}
		}
	}
	if len(classes) < 18 {
		t.Errorf("24 kinds of requests are of %d classes", len(classes))
	}
	prefetch.ClassOf(&http.Request{}) // as a test may make one
}

// Any request has a class.
func FuzzClassOf(f *testing.F) {
	f.Add("GET", "/static/a.css")
	f.Add("", "")
	f.Add("POST", "//.\x00/..")
	f.Fuzz(func(t *testing.T, method, path string) {
		r := requestOf(t.Context())
		r.Method, r.URL.Path = method, path
		if prefetch.ClassOf(r) != prefetch.ClassOf(r) {
			t.Error("two classes")
		}
	})
}

// The timeout of a part is that of its most patient question.
func TestAPartWaitsForItsMostPatientQuestion(t *testing.T) {
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	slow := server.Target().Client(t, func(o *redis.UniversalOptions) { o.Addrs = []string{proxy.Addr()} })
	if err := slow.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	proxy.Delay(100 * time.Millisecond)
	own, c := bounded.New(server.Client(t)), bounded.New(slow)
	short, _, _ := get(c, "a")
	long, _, _ := get(c, "b")
	short.Timeout = time.Millisecond
	in := &handler{ask: asks(short)}
	out := &handler{ask: asks(long), next: in}
	batch, ctx := begin(prefetch.NewRun(out))
	if _, err := send(batch, own, "own"); err != nil {
		t.Fatal(err)
	}
	if _, outcome := prefetch.Take(ctx, out); outcome != prefetch.Answered {
		t.Errorf("the patient one: %v", outcome)
	}
	if _, outcome := prefetch.Take(ctx, in); outcome != prefetch.Answered {
		t.Errorf("the other one, whose answer is there by now: %v", outcome)
	}
	batch.Close()
}
