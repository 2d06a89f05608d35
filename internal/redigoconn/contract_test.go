package redigoconn_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redigoconn"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 20 * time.Second

func pool(t testing.TB, rdb goredis.UniversalClient) *redis.Pool {
	t.Helper()
	d, err := redigoconn.NewDialer(rdb, false)
	if err != nil {
		t.Fatal(err)
	}
	p := d.Pool()
	t.Cleanup(func() { p.Close() })
	return p
}

type custom struct{}

func (custom) RedisArg() any { return "custom" }

// calls are made on a connection of redigo and on a virtual one; %s is a key.
var calls = []struct {
	name string
	args []any
}{
	{"PING", nil},
	{"PING", []any{"hello"}},
	{"ECHO", []any{"hi"}},
	{"SET", []any{"%s", "v"}},
	{"GET", []any{"%s"}},
	{"GET", []any{"%s-none"}},
	{"STRLEN", []any{"%s"}},
	{"SET", []any{"%s", "w", "GET"}},
	{"SET", []any{"%s", "x", "NX"}},
	{"APPEND", []any{"%s", []byte("y")}},
	{"SET", []any{"%s", 1.5}},
	{"GET", []any{"%s"}},
	{"SET", []any{"%s", true}},
	{"GET", []any{"%s"}},
	{"SET", []any{"%s", nil}},
	{"GET", []any{"%s"}},
	{"SET", []any{"%s", custom{}}},
	{"GET", []any{"%s"}},
	{"SET", []any{"%s", time.Second}},
	{"GET", []any{"%s"}},
	{"SET", []any{"%s", int32(7)}},
	{"INCR", []any{"%s"}},
	{"EXISTS", []any{"%s"}},
	{"TYPE", []any{"%s"}},
	{"LPUSH", []any{"%s", 1}},
	{"DEL", []any{"%s"}},
	{"HSET", []any{"%s", "a", 1}},
	{"HGETALL", []any{"%s"}},
	{"HGET", []any{"%s", "b"}},
	{"HMGET", []any{"%s", "a", "b"}},
	{"DEL", []any{"%s"}},
	{"ZADD", []any{"%s", 1.25, "m"}},
	{"ZSCORE", []any{"%s", "m"}},
	{"ZRANGE", []any{"%s", 0, -1, "WITHSCORES"}},
	{"ZINCRBY", []any{"%s", 1, "m"}},
	{"ZPOPMIN", []any{"%s", 2}},
	{"DEL", []any{"%s"}},
	{"SADD", []any{"%s", "m"}},
	{"SMEMBERS", []any{"%s"}},
	{"SISMEMBER", []any{"%s", "m"}},
	{"DEL", []any{"%s"}},
	{"RPUSH", []any{"%s", "a", "b"}},
	{"LRANGE", []any{"%s", 0, -1}},
	{"LTRIM", []any{"%s", 0, 0}},
	{"DEL", []any{"%s"}},
	{"EVAL", []any{"return {1,'a',false,{2}}", 1, "%s"}},
	{"EVAL", []any{"return redis.error_reply('OWN error')", 1, "%s"}},
	{"EVALSHA", []any{strings.Repeat("0", 40), 1, "%s"}},
	{"XADD", []any{"%s", "1-1", "f", "v"}},
	{"XRANGE", []any{"%s", "-", "+"}},
	{"XREAD", []any{"COUNT", 1, "STREAMS", "%s", "0"}},
	{"XLEN", []any{"%s"}},
	{"XREVRANGE", []any{"%s", "+", "-"}},
	{"DEL", []any{"%s"}},
	{"GEOADD", []any{"%s", 13.361389, 38.115556, "p", 15.087269, 37.502669, "q"}},
	{"GEODIST", []any{"%s", "p", "q", "km"}},
	{"GEOPOS", []any{"%s", "none"}},
	{"DEL", []any{"%s"}},
	{"SETBIT", []any{"%s", 7, 1}},
	{"BITCOUNT", []any{"%s"}},
	{"BITFIELD", []any{"%s", "GET", "u8", 0}},
	{"DEL", []any{"%s"}},
	{"ZADD", []any{"%s", 1, "a", 2.5, "b", "inf", "c"}},
	{"ZMSCORE", []any{"%s", "a", "x"}},
	{"ZRANGEBYSCORE", []any{"%s", "-inf", "+inf", "WITHSCORES"}},
	{"ZREVRANGE", []any{"%s", 0, 0, "WITHSCORES"}},
	{"ZRANK", []any{"%s", "none"}},
	{"ZSCORE", []any{"%s", "c"}},
	{"ZPOPMAX", []any{"%s"}},
	{"ZINCRBY", []any{"%s", 0.5, "a"}},
	{"DEL", []any{"%s"}},
	{"HSET", []any{"%s", "f", "v"}},
	{"HRANDFIELD", []any{"%s", 1, "WITHVALUES"}},
	{"HINCRBYFLOAT", []any{"%s", "n", 1.5}},
	{"HKEYS", []any{"%s-none"}},
	{"HEXISTS", []any{"%s", "f"}},
	{"DEL", []any{"%s"}},
	{"SET", []any{"%s", "9223372036854775807"}},
	{"INCR", []any{"%s"}},
	{"INCRBY", []any{"%s", -1}},
	{"INCRBYFLOAT", []any{"%s", 0.5}},
	{"OBJECT", []any{"ENCODING", "%s"}},
	{"PTTL", []any{"%s"}},
	{"PERSIST", []any{"%s"}},
	{"GETRANGE", []any{"%s", 0, 2}},
	{"GETDEL", []any{"%s"}},
	{"MSET", []any{"%s", "1"}},
	{"MGET", []any{"%s", "{%s}none"}},
	{"COPY", []any{"%s", "{%s}copy"}},
	{"RENAME", []any{"{%s}copy", "{%s}moved"}},
	{"TOUCH", []any{"{%s}moved"}},
	{"UNLINK", []any{"%s", "{%s}moved"}},
	{"CONFIG", []any{"GET", "maxmemory"}},
	{"TIME", []any{"too many"}},
	{"EVAL", []any{"return {1,2,{3,{4,false}}}", 1, "%s"}},
	{"EVAL", []any{"return nil", 1, "%s"}},
	{"EVAL", []any{"return 3.9", 1, "%s"}},
	{"SET", []any{"%s", "\x00\xff\r\n"}},
	{"GET", []any{"%s"}},
	{"SET", []any{"%s", ""}},
	{"GET", []any{"%s"}},
	{"LPOS", []any{"%s-none", "x"}},
	{"DEL", []any{"%s"}},
	{"nosuch", []any{"%s"}},
	{"GET", nil},
	{"SET", []any{"%s"}},
	{"EXEC", nil},
	{"DISCARD", nil},
	{"EVAL", []any{"redis.setresp(3); return {double=3.5}", 1, "%s"}},
	{"EVAL", []any{"redis.setresp(3); return {map={a=1}}", 1, "%s"}},
	{"EVAL", []any{"redis.setresp(3); return {set={a=true}}", 1, "%s"}},
	{"EVAL", []any{"redis.setresp(3); return {true, false}", 1, "%s"}},
	{"EVAL", []any{"redis.setresp(3); return {big_number='123456789012345678901234567890'}", 1, "%s"}},
	{"EVAL", []any{"redis.setresp(3); return {verbatim_string={format='txt',string='x'}}", 1, "%s"}},
	{"EVAL", []any{"return {1, redis.error_reply('B c')}", 1, "%s"}},
	{"HSET", []any{"%s", "a", 1}},
	{"HRANDFIELD", []any{"%s", -3}},
	{"HSTRLEN", []any{"%s", "a"}},
	{"DEL", []any{"%s"}},
	{"ZADD", []any{"%s", 1, "a"}},
	{"ZADD", []any{"%s", "INCR", 1, "a"}},
	{"ZRANDMEMBER", []any{"%s", -1, "WITHSCORES"}},
	{"ZRANGEBYLEX", []any{"%s", "-", "+"}},
	{"ZUNION", []any{1, "%s", "WITHSCORES"}},
	{"ZRANK", []any{"%s", "a", "WITHSCORE"}},
	{"DEL", []any{"%s"}},
	{"PEXPIREAT", []any{"%s", 1}},
	{"TTL", []any{"%s"}},
}

func TestRepliesLikeRedigo(t *testing.T) {
	for _, topology := range []func(testing.TB) *redistest.Target{redistest.Standalone, redistest.Cluster} {
		g := topology(t)
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s/RESP%d", g.Name, protocol), func(t *testing.T) {
				real, err := redis.Dial("tcp", redistest.NewServer(t).Addr())
				if err != nil {
					t.Fatal(err)
				}
				defer real.Close()
				virtual := pool(t, g.Client(t, func(o *goredis.UniversalOptions) { o.Protocol = protocol })).Get()
				defer virtual.Close()
				key := redistest.Prefix(t)
				for i, call := range calls {
					args := make([]any, len(call.args))
					for j, arg := range call.args {
						args[j] = arg
						if s, ok := arg.(string); ok {
							args[j] = strings.ReplaceAll(s, "%s", key)
						}
					}
					want, wantErr := real.Do(call.name, args...)
					got, gotErr := virtual.Do(call.name, args...)
					if !reflect.DeepEqual(got, want) || fmt.Sprintf("%T %v", gotErr, gotErr) != fmt.Sprintf("%T %v", wantErr, wantErr) {
						t.Errorf("call %d, %s %v:\n got %#v, %#v\nwant %#v, %#v", i, call.name, args, got, gotErr, want, wantErr)
					}
				}
				if virtual.Err() != nil {
					t.Errorf("Err after Redis errors: %v, want nil", virtual.Err())
				}
			})
		}
	}
}

// scripts of Send, Flush, Receive and Do, with transactions.
func TestPipelinesLikeRedigo(t *testing.T) {
	server := redistest.Standalone(t).Client(t).(*goredis.Client)
	key := redistest.Prefix(t)
	run := func(c redis.Conn) (log []string) {
		note := func(v any, err error) { log = append(log, fmt.Sprintf("%T %v | %v", v, v, err)) }
		send := func(name string, args ...any) {
			if err := c.Send(name, args...); err != nil {
				note(nil, err)
			}
		}
		send("SET", key, 1)
		send("INCR", key)
		send("LPUSH", key, "x")
		note(c.Do("GET", key)) // the error of LPUSH, the reply of GET
		send("SET", key, 5)
		send("GET", key)
		note(nil, c.Flush())
		note(c.Receive())
		note(c.Receive())
		send("GET", key)
		send("GET", key+"none")
		note(c.Do("")) // replies of all
		send("MULTI")
		send("SET", key, 7)
		send("GET", key)
		note(c.Do("EXEC"))
		note(c.Do("MULTI"))
		note(c.Do("GET", key))
		_, nested := c.Do("MULTI")
		note(nil, firstWord(nested)) // servers differ in the rest
		note(c.Do("DISCARD"))
		note(c.Do("GET", key))
		send("MULTI")
		note(c.Do("EXEC"))
		send("MULTI")
		send("SET", key, "collapsed")
		send("PEXPIREAT", key, time.Now().Add(time.Hour).UnixMilli())
		note(c.Do("EXEC"))
		note(c.Do("GET", key))
		note(c.Do("DEL", key))
		note(nil, c.Err())
		return log
	}
	real, err := redis.Dial("tcp", server.Options().Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	want := run(real)
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		got := run(pool(t, g.Client(t)).Get())
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("step %d:\n got %s\nwant %s", i, got[i], want[i])
			}
		}
	})
}

// firstWord is an error's code, such as ERR.
func firstWord(err error) error {
	code, _, _ := strings.Cut(fmt.Sprint(err), " ")
	return errors.New(code)
}

func TestRejectedCommandsAreNotSent(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		count := redistest.Count(rdb)
		c := pool(t, rdb).Get()
		defer c.Close()
		refused := []string{"SELECT", "auth", "HELLO", "WATCH", "SUBSCRIBE", "MONITOR", "BLPOP", "CLIENT", "QUIT", "WAIT", "ASKING", "XREAD", "XREADGROUP"}
		if g.Name == "cluster" {
			refused = append(refused, "SCAN")
		}
		for _, name := range refused {
			var e *redigoconn.CommandError
			if _, err := c.Do(name, "x", "block", 1); !errors.As(err, &e) || !strings.Contains(err.Error(), strings.ToUpper(name)) {
				t.Errorf("%s: got %v, want a CommandError that names it", name, err)
			}
		}
		if got := count.Commands(); len(got) != 0 {
			t.Errorf("commands sent: %v, want none", got)
		}
		if _, err := c.Do("PING"); err != nil {
			t.Errorf("after refusals: %v", err)
		}
	})
}

func TestAbandonedTransactionLeavesNothing(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		p := pool(t, g.Client(t))
		p.MaxIdle = 1
		key := redistest.Prefix(t)
		c := p.Get()
		c.Send("MULTI")
		c.Send("SET", key, "abandoned")
		c.Close()
		c = p.Get()
		if got, err := c.Do("SET", key, "v"); got != "OK" || err != nil {
			t.Errorf("next user: got %v, %v, want OK", got, err)
		}
		c.Close()
	})
}

func TestGetAndCloseCostNoRoundTrip(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	count := redistest.Count(rdb)
	p := pool(t, rdb)
	for range 10 {
		p.Get().Close()
	}
	if got := count.Trips(); got != 0 {
		t.Errorf("round trips: got %d, want 0", got)
	}
}

func TestSpreadCommandsReachAllMasters(t *testing.T) {
	c := redistest.NewCluster(t, 0)
	rdb := c.Target().Client(t)
	conn := pool(t, rdb).Get()
	defer conn.Close()
	for i := range 300 {
		rdb.Set(t.Context(), fmt.Sprint("k", i), 1, 0)
	}
	if got, err := redis.Strings(conn.Do("KEYS", "k*")); len(got) != 300 || err != nil {
		t.Errorf("KEYS: got %d, %v, want 300", len(got), err)
	}
	if got, err := redis.Int(conn.Do("DBSIZE")); got != 300 || err != nil {
		t.Errorf("DBSIZE: got %d, %v, want 300", got, err)
	}
	sha, err := redis.String(conn.Do("SCRIPT", "LOAD", "return ARGV[1]"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // keys of all masters
		if got, err := redis.String(conn.Do("EVALSHA", sha, 1, fmt.Sprint("k", i), "x")); got != "x" || err != nil {
			t.Errorf("EVALSHA after SCRIPT LOAD: got %q, %v", got, err)
		}
	}
	if got, err := conn.Do("FLUSHALL"); got != "OK" || err != nil {
		t.Errorf("FLUSHALL: got %v, %v", got, err)
	}
	if got, _ := redis.Int(conn.Do("DBSIZE")); got != 0 {
		t.Errorf("DBSIZE after FLUSHALL: got %d, want 0", got)
	}
}

func TestScriptsFallBack(t *testing.T) {
	s := redistest.NewServer(t)
	conn := pool(t, s.Client(t)).Get()
	defer conn.Close()
	script := redis.NewScript(1, "return KEYS[1]")
	for range 2 {
		if got, err := redis.String(script.Do(conn, "k")); got != "k" || err != nil {
			t.Errorf("script: got %q, %v, want k", got, err)
		}
		s.FlushScripts(t)
	}
}

func TestDeadlines(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	for name, honors := range map[string]bool{"a client that honours deadlines": true, "go-redis' defaults": false} {
		t.Run(name, func(t *testing.T) {
			p.Heal()
			rdb := goredis.NewClient(&goredis.Options{Addr: p.Addr(), ContextTimeoutEnabled: honors})
			defer rdb.Close()
			dialer, err := redigoconn.NewDialer(rdb, false)
			if err != nil {
				t.Fatal(err)
			}
			conn := dialer.Conn()
			if _, err := conn.Do("PING"); err != nil {
				t.Fatal(err)
			}
			p.Mute()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			for how, do := range map[string]func() error{
				"Bind":        func() error { conn.Bind(ctx); defer conn.Unbind(); _, err := conn.Do("GET", "k"); return err },
				"DoContext":   func() error { _, err := conn.DoContext(ctx, "GET", "k"); return err },
				"WithTimeout": func() error { _, err := conn.DoWithTimeout(100*time.Millisecond, "GET", "k"); return err },
				"transaction": func() error {
					conn.Send("MULTI")
					conn.Send("SET", "k", "v")
					_, err := conn.DoContext(ctx, "EXEC")
					return err
				},
			} {
				start := time.Now()
				err := do()
				var timeout interface{ Timeout() bool }
				if !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("%s: got %v, want a timeout", how, err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("%s: took %v", how, took)
				}
			}
			p.CloseConns()
		})
	}
}

func TestTransactionsOfTwoKeysAreSentAsTheyAre(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	count := redistest.Count(rdb)
	save := func(c redis.Conn) (any, error) {
		c.Send("MULTI")
		c.Send("SET", redistest.Prefix(t), "v")
		c.Send("PEXPIREAT", redistest.Prefix(t), time.Now().Add(time.Minute).UnixMilli())
		return c.Do("EXEC")
	}
	// Different keys are not collapsed either: that needs one key.
	if got, err := redis.Values(save(pool(t, rdb).Get())); len(got) != 2 || err != nil {
		t.Errorf("two keys: got %v, %v", got, err)
	}
	if got := count.Commands()["pexpireat"]; got != 1 {
		t.Errorf("two keys: PEXPIREAT sent %d times, want once", got)
	}
}

func TestNewDialerRejectsNilClients(t *testing.T) {
	var none *goredis.Client
	for _, rdb := range []goredis.UniversalClient{nil, none} {
		if _, err := redigoconn.NewDialer(rdb, false); err == nil {
			t.Errorf("NewDialer accepts %#v", rdb)
		}
	}
}

func FuzzArgumentsArriveAsRedigoSendsThem(f *testing.F) {
	f.Add("a", []byte("b"), 1.5, int64(3), true)
	f.Fuzz(func(t *testing.T, s string, b []byte, x float64, n int64, yes bool) {
		rdb := redistest.Standalone(t).Client(t)
		dialer, err := redigoconn.NewDialer(rdb, false)
		if err != nil {
			t.Fatal(err)
		}
		conn := dialer.Conn()
		got, err := redis.ByteSlices(conn.Do("EVAL", "return ARGV", 0, s, b, x, n, yes))
		if err != nil {
			t.Fatal(err)
		}
		bit := "0"
		if yes {
			bit = "1"
		}
		want := []string{s, string(b), strings.TrimPrefix(fmt.Sprintf("%v", x), "+"), fmt.Sprint(n), bit}
		for i := range want {
			if i != 2 && string(got[i]) != want[i] {
				t.Errorf("argument %d: got %q, want %q", i, got[i], want[i])
			}
		}
	})
}

// What a wrong password leaves of a pipeline must not pass for an empty value.
func TestWrongPasswordIsNotAnEmptyValue(t *testing.T) {
	s := redistest.NewServer(t, redistest.WithACL("alice", "right"))
	rdb := goredis.NewClient(&goredis.Options{Addr: s.Addr(), Username: "alice", Password: "wrong"})
	defer rdb.Close()
	dialer, err := redigoconn.NewDialer(rdb, false)
	if err != nil {
		t.Fatal(err)
	}
	conn := dialer.Conn()
	conn.TrackTTL(true)
	if got, err := conn.Do("GET", "k"); err == nil {
		t.Errorf("GET: got %v and no error", got)
	}
	for _, cmd := range []string{"MULTI", "INCR", "PEXPIRE"} {
		_ = conn.Send(cmd, map[string][]any{"INCR": {"n"}, "PEXPIRE": {"n", 1000}}[cmd]...)
	}
	if got, err := conn.Do("EXEC"); err == nil {
		t.Errorf("EXEC: got %v and no error", got)
	}
}

// A guarded commit, as redisstore sends it, writes only what was read.
func TestGuardedCommits(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		dialer, err := redigoconn.NewDialer(rdb, false)
		if err != nil {
			t.Fatal(err)
		}
		conn := dialer.Conn()
		p := &redis.Pool{MaxIdle: 1, Dial: func() (redis.Conn, error) { return conn, nil }}
		store := redisstore.NewWithPrefix(p, redistest.Prefix(t))
		commit := func(read, value string) error {
			conn.Guard([]byte(read))
			defer conn.Unbind()
			return store.Commit("k", []byte(value), time.Now().Add(time.Minute))
		}
		if err := commit("one", "two"); !errors.Is(err, redigoconn.ErrGone) {
			t.Errorf("absent: got %v, want ErrGone", err)
		}
		if err := store.Commit("k", []byte("one"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		count := redistest.Count(rdb)
		if err := commit("one", "two"); err != nil {
			t.Errorf("as it was read: %v", err)
		}
		if got := count.Trips(); got > 2 { // the script is loaded once
			t.Errorf("%d round trips", got)
		}
		var conflict *redigoconn.ConflictError
		if err := commit("one", "three"); !errors.As(err, &conflict) || string(conflict.Current) != "two" {
			t.Errorf("changed: got %v", err)
		}
		if err := commit("one", "two"); err != nil {
			t.Errorf("its own value, after a lost reply: %v", err)
		}
		if b, found, err := store.Find("k"); string(b) != "two" || !found || err != nil {
			t.Errorf("got %q, %v, %v", b, found, err)
		}
		if err := store.Delete("k"); err != nil || conn.Deleted() != 1 {
			t.Errorf("delete: %v, %d deleted", err, conn.Deleted())
		}
		conn.Guard([]byte("x"))
		_ = conn.Send("MULTI")
		_ = conn.Send("SET", "other", 1)
		if _, err := conn.Do("EXEC"); err == nil {
			t.Error("another transaction slips past the guard")
		}
		conn.Unbind()
		if _, err := conn.Do("PING"); err != nil {
			t.Errorf("after the guard: %v", err)
		}
	})
}
