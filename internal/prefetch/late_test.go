package prefetch_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/prefetch"
	"github.com/redishttp/redishttp/internal/redistest"
)

// hung returns a client of a server that executes commands and does not reply, and what
// ends that.
func hung(t *testing.T, server *redistest.Server) (redis.UniversalClient, *redistest.Proxy) {
	t.Helper()
	proxy := redistest.NewProxy(t, server.Addr())
	rdb := server.Target().Client(t, func(o *redis.UniversalOptions) {
		o.Addrs, o.ReadTimeout = []string{proxy.Addr()}, 5*time.Second
	})
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	proxy.SwallowReplies()
	return rdb, proxy
}

// Each question is waited for as long as its own timeout, from when it was sent, and
// one that is late is told as such although another of its part is waited for.
func TestALateQuestionDelaysNoOther(t *testing.T) {
	server := redistest.NewServer(t)
	slow, proxy := hung(t, server)
	there, away := bounded.New(server.Client(t)), bounded.New(slow)
	fast, cmd, _ := get(there, "a")
	short, _, told := get(away, "b")
	long, _, toldLong := get(away, "c")
	short.Timeout, long.Timeout = 30*time.Millisecond, 20*time.Second
	in := &handler{ask: asks(fast)}
	mid := &handler{ask: asks(short), next: in}
	out := &handler{ask: asks(long), next: mid}
	batch, ctx := begin(prefetch.NewRun(out))
	if own, err := send(batch, there, "own"); err != nil || own.Val() != 1 {
		t.Fatalf("own: %v, %v", own, err)
	}
	if q, outcome := prefetch.Take(ctx, in); q == nil || outcome != prefetch.Answered || cmd.Err() != redis.Nil { //nolint:errorlint // as go-redis has it
		t.Errorf("of the node that is there: %v, %v, %v", q, outcome, cmd)
	}
	if q, outcome := prefetch.Take(ctx, mid); q == nil || outcome != prefetch.Late {
		t.Errorf("of the node that hangs: %v, %v, want Late", q, outcome)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if q, outcome := prefetch.Take(gone, out); q == nil || outcome != prefetch.None {
		t.Errorf("a client that has disconnected: %v, %v, want None", q, outcome)
	}
	batch.Close()
	proxy.Heal()
	proxy.CloseConns() // the replies were dropped
	redistest.Eventually(t, patience, func() bool {
		one, _ := told.told()
		two, _ := toldLong.told()
		return len(one) == 1 && len(two) == 1
	}, "the part does not end")
	if reports, unused := told.told(); !errors.Is(reports[0], context.DeadlineExceeded) || len(unused) != 0 {
		t.Errorf("the late one was told %v, %v", reports, unused)
	}
	if reports, _ := toldLong.told(); errors.Is(reports[0], context.DeadlineExceeded) {
		t.Errorf("the other one was told %v", reports)
	}
}

// What is not taken by the end of the request is reported when its reply comes.
func TestAReplyAfterTheRequest(t *testing.T) {
	server := redistest.NewServer(t)
	slow, proxy := hung(t, server)
	proxy.Mute() // and hold the commands back
	own, other := bounded.New(server.Client(t)), bounded.New(slow)
	q, _, told := get(other, "a")
	second, _, _ := get(other, "b")
	q.Timeout, second.Timeout = 20*time.Second, 20*time.Second
	batch, _ := begin(prefetch.NewRun(&handler{ask: asks(q), next: &handler{ask: asks(second)}}))
	if cmd, err := send(batch, own, "own"); err != nil || cmd.Val() != 1 {
		t.Fatalf("own: %v, %v", cmd, err)
	}
	batch.Close()
	if reports, unused := told.told(); len(reports)+len(unused) != 0 {
		t.Errorf("told before the reply: %v, %v", reports, unused)
	}
	proxy.Heal()
	redistest.Eventually(t, patience, func() bool { _, unused := told.told(); return len(unused) == 1 }, "not told")
	if reports, unused := told.told(); len(reports) != 1 || reports[0] != nil || unused[0] != prefetch.Answered {
		t.Errorf("told %v, %v", reports, unused)
	}
}

// The beginner that gives up takes its part with it: a question of it says something of
// the node only if its own timeout has passed as well.
func TestABeginnerThatGivesUp(t *testing.T) {
	for name, mod := range map[string]func(*redis.UniversalOptions){
		"deadlines": func(*redis.UniversalOptions) {},
		"defaults":  func(o *redis.UniversalOptions) { o.ContextTimeoutEnabled = false },
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.NewServer(t)
			proxy := redistest.NewProxy(t, server.Addr())
			rdb := server.Target().Client(t, func(o *redis.UniversalOptions) { o.Addrs = []string{proxy.Addr()} }, mod)
			if err := rdb.Ping(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			proxy.Mute()
			c := bounded.New(rdb)
			short, _, toldShort := get(c, "a")
			long, _, toldLong := get(c, "b")
			short.Timeout, long.Timeout = 20*time.Millisecond, 20*time.Second
			in := &handler{ask: asks(short)}
			out := &handler{ask: asks(long), next: in}
			batch, ctx := begin(prefetch.NewRun(out))
			bound, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			own := redis.NewIntCmd(bound, "incr", "own")
			if err := batch.SendWith(bound, prefetch.Call{Caller: c, Key: "own", Command: own}); err == nil {
				t.Fatal("no error")
			}
			if _, outcome := prefetch.Take(ctx, in); outcome != prefetch.Late {
				t.Errorf("20 ms after 50: %v, want Late", outcome)
			}
			if _, outcome := prefetch.Take(ctx, out); outcome != prefetch.None {
				t.Errorf("20 s after 50 ms: %v, want None", outcome)
			}
			batch.Close()
			if reports, _ := toldShort.told(); len(reports) != 1 || !errors.Is(reports[0], context.DeadlineExceeded) {
				t.Errorf("told %v", reports)
			}
			if reports, _ := toldLong.told(); len(reports) != 1 || !errors.Is(reports[0], context.Canceled) {
				t.Errorf("told %v", reports)
			}
			proxy.Heal()
		})
	}
}

// An answer does not count when the handler's turn comes much later.
func TestAnOldAnswerIsNotTaken(t *testing.T) {
	c := bounded.New(redistest.Standalone(t).Client(t))
	prefix := redistest.Prefix(t)
	q, _, told := get(c, prefix)
	q.Timeout = -time.Hour // as if that had passed
	h := &handler{ask: asks(q)}
	batch, ctx := begin(prefetch.NewRun(h))
	if _, err := send(batch, c, prefix+"own"); err != nil {
		t.Fatal(err)
	}
	if got, outcome := prefetch.Take(ctx, h); got != q || outcome != prefetch.None {
		t.Errorf("got %v, %v, want None", got, outcome)
	}
	batch.Close()
	if _, unused := told.told(); len(unused) != 0 {
		t.Error("told as unused, too")
	}
}

// A question whose handler needs no answer by its turn is told at once.
func TestForgo(t *testing.T) {
	c := bounded.New(redistest.Standalone(t).Client(t))
	prefix := redistest.Prefix(t)
	q, _, told := get(c, prefix)
	h := &handler{ask: asks(q)}
	batch, ctx := begin(prefetch.NewRun(h))
	prefetch.Forgo(context.Background(), h) // outside of any batch
	if _, err := send(batch, c, prefix+"own"); err != nil {
		t.Fatal(err)
	}
	prefetch.Forgo(ctx, &handler{})
	if _, unused := told.told(); len(unused) != 0 {
		t.Fatal("another handler's")
	}
	prefetch.Forgo(ctx, h)
	prefetch.Forgo(ctx, h)
	if _, unused := told.told(); len(unused) != 1 {
		t.Errorf("told %v", unused)
	}
	if q, _ := prefetch.Take(ctx, h); q != nil {
		t.Error("taken")
	}
	batch.Close()
}

// An error that Redis replies to one command is that of its question alone.
func TestAnErrorConcernsItsQuestion(t *testing.T) {
	rdb := redistest.NewServer(t).Client(t)
	c := bounded.New(rdb)
	rdb.LPush(t.Context(), "list", "a")
	wrong, cmd, told := get(c, "list")
	missing, _, toldMissing := get(c, "missing")
	in := &handler{ask: asks(missing)}
	out := &handler{ask: asks(wrong), next: in}
	batch, ctx := begin(prefetch.NewRun(out))
	if own, err := send(batch, c, "own"); err != nil || own.Val() != 1 {
		t.Fatalf("own: %v, %v", own, err)
	}
	for _, h := range []*handler{in, out} {
		if _, outcome := prefetch.Take(ctx, h); outcome != prefetch.Answered {
			t.Errorf("got %v, want Answered", outcome)
		}
	}
	if !redis.HasErrorPrefix(cmd.Err(), "WRONGTYPE") {
		t.Errorf("got %v", cmd)
	}
	if reports, _ := told.told(); len(reports) != 1 || !redis.HasErrorPrefix(reports[0], "WRONGTYPE") {
		t.Errorf("told %v", reports)
	}
	if reports, _ := toldMissing.told(); len(reports) != 1 || reports[0] != nil {
		t.Errorf("told %v", reports)
	}
	// The other way round: the beginner's command fails alone.
	again, value, _ := get(c, "own")
	h := &handler{ask: asks(again)}
	batch, ctx = begin(prefetch.NewRun(h))
	if _, err := send(batch, c, "list"); !redis.HasErrorPrefix(err, "WRONGTYPE") {
		t.Errorf("own: %v", err)
	}
	if _, outcome := prefetch.Take(ctx, h); outcome != prefetch.Answered || value.Val() != "1" {
		t.Errorf("got %v, %v", outcome, value)
	}
	batch.Close()
}

// A connection that is cut within the replies loses those that had not come; nothing is
// sent twice.
func TestACutConnection(t *testing.T) {
	server := redistest.NewServer(t)
	var left atomic.Int64 // bytes of replies that come through
	rdb := server.Target().Client(t, func(o *redis.UniversalOptions) {
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &cutConn{conn, &left}, err
		}
	})
	direct := server.Client(t)
	direct.Set(t.Context(), "a", "one", 0)
	direct.Set(t.Context(), "b", "two", 0)
	c := bounded.New(rdb)
	for cut, want := range map[int64]int{0: 0, 4: 1, 13: 2, 1000: 3} { // ":1\r\n", "$3\r\none\r\n", the same
		left.Store(1 << 20)
		direct.Del(t.Context(), "own")
		if err := rdb.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		qa, _, _ := get(c, "a")
		qb, _, _ := get(c, "b")
		in := &handler{ask: asks(qb)}
		out := &handler{ask: asks(qa), next: in}
		batch, ctx := begin(prefetch.NewRun(out))
		left.Store(cut)
		own, err := send(batch, c, "own")
		got := 0
		if err == nil && own.Val() == 1 {
			got++
		}
		for _, h := range []*handler{out, in} {
			if _, outcome := prefetch.Take(ctx, h); outcome == prefetch.Answered {
				got++
			}
		}
		batch.Close()
		if got > want || cut == 1000 && got != want { // go-redis may drop what has come
			t.Errorf("cut after %d bytes: %d answers, want %d", cut, got, want)
		}
		if n, _ := direct.Get(t.Context(), "own").Int(); n != 1 {
			t.Errorf("cut after %d bytes: counted %d times", cut, n)
		}
	}
}

// cutConn is a connection that ends after some bytes.
type cutConn struct {
	net.Conn
	left *atomic.Int64
}

func (c *cutConn) Read(b []byte) (int, error) {
	left := c.left.Load()
	if left <= 0 {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b[:min(int64(len(b)), left)])
	c.left.Add(-int64(n))
	return n, err
}

// Two clients, one of whose hooks waits for the other, are asked at the same time, each
// once, and with the beginner's command.
func TestPartsAreUnderWayTogether(t *testing.T) {
	servers := []*redistest.Server{redistest.NewServer(t), redistest.NewServer(t), redistest.NewServer(t)}
	meet := newMeeting(3)
	var callers []*bounded.Caller
	for _, s := range servers {
		rdb := s.Client(t)
		if err := rdb.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		rdb.AddHook(meet)
		callers = append(callers, bounded.New(rdb))
	}
	qa, _, _ := get(callers[1], "a")
	qb, _, _ := get(callers[2], "b")
	in := &handler{ask: asks(qb)}
	out := &handler{ask: asks(qa), next: in}
	batch, ctx := begin(prefetch.NewRun(out))
	if _, err := send(batch, callers[0], "own"); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*handler{in, out} {
		if _, outcome := prefetch.Take(ctx, h); outcome != prefetch.Answered {
			t.Errorf("got %v", outcome)
		}
	}
	batch.Close()
	if got := meet.calls(); got != 3 {
		t.Errorf("%d calls, want 3", got)
	}
}

// meeting is a hook in which calls wait until n of them are under way.
type meeting struct {
	passing
	n       int
	came    chan struct{}
	all     chan struct{}
	counted chan int
}

func newMeeting(n int) *meeting {
	m := &meeting{n: n, came: make(chan struct{}, 100), all: make(chan struct{}), counted: make(chan int, 1)}
	go func() {
		for range n {
			<-m.came
		}
		close(m.all)
	}()
	m.counted <- 0
	return m
}

func (m *meeting) calls() int {
	n := <-m.counted
	m.counted <- n
	return n
}

func (m *meeting) wait(ctx context.Context) error {
	m.counted <- <-m.counted + 1
	m.came <- struct{}{}
	select {
	case <-m.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *meeting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := m.wait(ctx); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (m *meeting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := m.wait(ctx); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

// A client without pipelines leaves its questions to their handlers.
func TestAClientWithoutPipelines(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	c := bounded.New(struct{ bounded.Client }{rdb})
	prefix := redistest.Prefix(t)
	q, _, told := get(c, prefix)
	h := &handler{ask: asks(q)}
	batch, ctx := begin(prefetch.NewRun(h))
	if own, err := send(batch, c, prefix+"own"); err != nil || own.Val() != 1 {
		t.Fatalf("own: %v, %v", own, err)
	}
	if batch.Sent() {
		t.Error("sent")
	}
	if q, _ := prefetch.Take(ctx, h); q != nil {
		t.Error("taken")
	}
	if reports, unused := told.told(); len(reports) != 1 || !errors.Is(reports[0], context.Canceled) || len(unused) != 0 {
		t.Errorf("told %v, %v", reports, unused)
	}
	batch.Close()
}

// requestOf returns a request in a context.
func requestOf(ctx context.Context) *http.Request {
	return httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
}
