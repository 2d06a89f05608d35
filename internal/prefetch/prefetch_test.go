package prefetch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/prefetch"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 20 * time.Second

// handler asks for one key and passes on to next.
type handler struct {
	owner any // itself by default
	next  http.Handler
	ask   func(b *prefetch.Batch, h *handler)
	serve func(w http.ResponseWriter, r *http.Request)
}

func (h *handler) Owner() any {
	if h.owner != nil {
		return h.owner
	}
	return h
}

func (h *handler) Prefetch(b *prefetch.Batch, _ *http.Request) {
	if h.ask != nil {
		h.ask(b, h)
	}
	next, _ := h.next.(prefetch.Handler)
	b.Visit(next)
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.serve != nil {
		h.serve(w, r)
	}
	if h.next != nil {
		h.next.ServeHTTP(w, r)
	}
}

// asker notes what it is told.
type asker struct {
	mu      sync.Mutex
	reports []error
	unused  []prefetch.Outcome
}

func (a *asker) Report(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reports = append(a.reports, err)
}

func (a *asker) Unused(outcome prefetch.Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unused = append(a.unused, outcome)
}

func (a *asker) told() (reports []error, unused []prefetch.Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reports, a.unused
}

// get is a question for the value of a key.
func get(c *bounded.Caller, key string) (*prefetch.Question, *redis.StringCmd, *asker) {
	a, cmd := &asker{}, redis.NewStringCmd(context.Background(), "get", key)
	return &prefetch.Question{Asker: a, Caller: c, Key: key, Commands: []redis.Cmder{cmd}, Timeout: 5 * time.Second}, cmd, a
}

// asks has a handler add a question to each batch.
func asks(q *prefetch.Question) func(*prefetch.Batch, *handler) {
	return func(b *prefetch.Batch, h *handler) {
		q.Owner = h.Owner()
		b.Add(q)
	}
}

// begin makes a batch for a request to the handlers that run knows, and the context of
// the handler inside.
func begin(run *prefetch.Run) (*prefetch.Batch, context.Context) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	b := run.Batch(r)
	ctx := context.WithValue(r.Context(), prefetch.RunKey{}, run)
	return b, context.WithValue(ctx, prefetch.Key{}, b)
}

// send sends an INCR of the beginner.
func send(b *prefetch.Batch, c *bounded.Caller, key string) (*redis.IntCmd, error) {
	own := redis.NewIntCmd(context.Background(), "incr", key)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return own, b.SendWith(ctx, prefetch.Call{Caller: c, Key: key, Command: own})
}

// What the handlers inside ask goes with the beginner's command; each takes its answer
// once.
func TestAnswersComeWithTheBeginnersCommand(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	c, prefix := bounded.New(rdb), redistest.Prefix(t)
	rdb.Set(t.Context(), prefix+"a", "one", time.Minute)
	rdb.Set(t.Context(), prefix+"b", "two", time.Minute)
	qa, a, askedA := get(c, prefix+"a")
	qb, b, askedB := get(c, prefix+"b")
	inner := &handler{ask: asks(qb)}
	outer := &handler{ask: asks(qa), next: inner}
	run := prefetch.NewRun(outer)
	count := redistest.Count(rdb)
	batch, ctx := begin(run)
	if batch.Sent() || prefetch.Visited(ctx, &handler{}) {
		t.Error("sent before it was")
	}
	own, err := send(batch, c, prefix+"own")
	if err != nil || own.Val() != 1 || count.Trips() != 1 || !batch.Sent() {
		t.Fatalf("own: %v, %v, %d round trips, sent %t", own, err, count.Trips(), batch.Sent())
	}
	for h, want := range map[*handler]struct {
		q   *prefetch.Question
		cmd *redis.StringCmd
		s   string
	}{outer: {qa, a, "one"}, inner: {qb, b, "two"}} {
		if !prefetch.Visited(ctx, h) {
			t.Errorf("%s: not visited", want.s)
		}
		if q, outcome := prefetch.Take(ctx, h); q != want.q || outcome != prefetch.Answered || want.cmd.Val() != want.s {
			t.Errorf("%s: got %v, %v, %v", want.s, q, outcome, want.cmd)
		}
		if q, outcome := prefetch.Take(ctx, h); q != nil || outcome != prefetch.None {
			t.Errorf("%s: taken twice", want.s)
		}
	}
	batch.Close()
	for _, asked := range []*asker{askedA, askedB} {
		if reports, unused := asked.told(); len(reports) != 1 || reports[0] != nil || len(unused) != 0 {
			t.Errorf("told %v, %v", reports, unused)
		}
	}
}

// What is not taken is told once, however often the batch is closed.
func TestUnusedAnswersAreToldOnce(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	c, prefix := bounded.New(rdb), redistest.Prefix(t)
	q, _, asked := get(c, prefix+"a")
	h := &handler{ask: asks(q)}
	batch, ctx := begin(prefetch.NewRun(h))
	if _, err := send(batch, c, prefix+"own"); err != nil {
		t.Fatal(err)
	}
	batch.Close()
	batch.Close()
	if q, _ := prefetch.Take(ctx, h); q != nil {
		t.Error("taken after Close")
	}
	if _, unused := asked.told(); len(unused) != 1 || unused[0] != prefetch.Answered {
		t.Errorf("told %v", unused)
	}
	var none *prefetch.Batch
	none.Close() // a nil Batch has none
	if none.Sent() {
		t.Error("nothing was sent")
	}
}

// A session alone sends nothing: it is read at its turn.
func TestOneQuestionAloneIsNotSent(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	c, prefix := bounded.New(rdb), redistest.Prefix(t)
	for want, inner := range map[bool]*handler{false: {}, true: {}} {
		own, _, asked := get(c, prefix+"own")
		q, _, _ := get(c, prefix+"inner")
		if want {
			inner.ask = asks(q)
		}
		count := redistest.Count(rdb)
		beginner := &handler{next: inner}
		batch, ctx := begin(prefetch.NewRun(inner))
		own.Owner = beginner
		batch.Add(own)
		batch.Send()
		if batch.Sent() != want {
			t.Errorf("sent %t, want %t", batch.Sent(), want)
		}
		taken, outcome := prefetch.Take(ctx, beginner)
		if (taken != nil) != want || want && outcome != prefetch.Answered {
			t.Errorf("sent %t: took %v, %v", want, taken, outcome)
		}
		if reports, _ := asked.told(); len(reports) != 1 || !want && !errors.Is(reports[0], context.Canceled) {
			t.Errorf("sent %t: told %v", want, reports)
		}
		if got := count.Trips(); (got == 1) != want {
			t.Errorf("sent %t: %d round trips", want, got)
		}
		batch.Close()
	}
}

// panics is a client whose pipelines panic.
type panics struct{ passing }

func (panics) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { panic("a hook of the client") }
}

// passing is a hook that changes nothing.
type passing struct{}

func (passing) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (passing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (passing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A client that panics, as a hook of the user's may, ends neither the process nor the
// lease: what was asked is told, and the handler asks by itself.
func TestAPanicInTheClient(t *testing.T) {
	target := redistest.Standalone(t)
	prefix := redistest.Prefix(t)
	pipeline := func() redis.UniversalClient {
		rdb := target.Client(t)
		rdb.AddHook(panics{})
		return rdb
	}
	t.Run("of another part", func(t *testing.T) {
		own := bounded.New(target.Client(t))
		q, _, asked := get(bounded.New(pipeline()), prefix+"a")
		second, _, _ := get(q.Caller, prefix+"b")
		h := &handler{ask: asks(q), next: &handler{ask: asks(second)}}
		batch, ctx := begin(prefetch.NewRun(h))
		if cmd, err := send(batch, own, prefix+"own"); err != nil || cmd.Val() != 1 {
			t.Fatalf("the beginner's own: %v, %v", cmd, err)
		}
		if q, outcome := prefetch.Take(ctx, h); q == nil || outcome != prefetch.None {
			t.Errorf("got %v, %v, want None", q, outcome)
		}
		batch.Close()
		if reports, _ := asked.told(); len(reports) != 1 || !errors.Is(reports[0], context.Canceled) {
			t.Errorf("told %v", reports)
		}
	})
	t.Run("of the beginner's part", func(t *testing.T) {
		c := bounded.New(pipeline())
		q, _, asked := get(c, prefix+"a")
		batch, _ := begin(prefetch.NewRun(&handler{ask: asks(q)}))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is not the request's")
				}
			}()
			defer batch.Close()
			_, _ = send(batch, c, prefix+"own2")
		}()
		if reports, unused := asked.told(); len(reports) != 1 || len(unused) != 1 || unused[0] != prefetch.None {
			t.Errorf("told %v, %v", reports, unused)
		}
	})
}

// One more than a batch has space for without an allocation, of several nodes.
func TestManyQuestions(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		c, prefix := bounded.New(rdb), redistest.Prefix(t)
		var all []*redis.StringCmd
		var handlers []*handler
		var outermost http.Handler
		for i := range 10 {
			key := fmt.Sprint(prefix, i)
			if err := rdb.Set(t.Context(), key, i, time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			q, cmd, _ := get(c, key)
			h := &handler{ask: asks(q), next: outermost}
			outermost, handlers, all = h, append(handlers, h), append(all, cmd)
		}
		batch, ctx := begin(prefetch.NewRun(outermost))
		if own, err := send(batch, c, prefix+"own"); err != nil || own.Val() != 1 {
			t.Fatal(own, err)
		}
		for i, h := range handlers {
			if q, outcome := prefetch.Take(ctx, h); q == nil || outcome != prefetch.Answered || all[i].Val() != fmt.Sprint(i) {
				t.Errorf("%d: %v, %v, %v", i, q, outcome, all[i])
			}
		}
		batch.Close()
	})
}
