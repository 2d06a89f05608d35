package redigopool_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect/redigopool"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestNewRejectsNilClients(t *testing.T) {
	var none *goredis.Client
	for _, rdb := range []goredis.UniversalClient{nil, none} {
		if _, err := redigopool.New(rdb); err == nil {
			t.Errorf("New accepts %#v", rdb)
		}
	}
}

func TestCommitIsOneCommandUnlessTransactionsAreKept(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	count := redistest.Count(rdb)
	for kept, want := range map[bool]int{true: 1, false: 0} {
		pool, err := redigopool.New(rdb, nil, redigopool.WithTransactionsKept(kept))
		if err != nil {
			t.Fatal(err)
		}
		count.Reset()
		c, key := pool.Get(), redistest.Prefix(t)
		c.Send("MULTI")
		c.Send("SET", key, "v")
		c.Send("PEXPIREAT", key, time.Now().Add(time.Minute).UnixMilli())
		if got, err := redis.Values(c.Do("EXEC")); len(got) != 2 || err != nil || count.Commands()["pexpireat"] != want {
			t.Errorf("kept %t: got %v, %v, commands %v; want %d PEXPIREAT", kept, got, err, count.Commands(), want)
		}
		c.Close()
		pool.Close()
	}
}

func TestRejectedCommandIsACommandError(t *testing.T) {
	pool, err := redigopool.New(redistest.Standalone(t).Client(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	c := pool.Get()
	defer c.Close()
	var rejected *redigopool.CommandError
	if _, err := c.Do("select", 1); !errors.As(err, &rejected) || rejected.Command != "SELECT" || rejected.Reason == "" {
		t.Errorf("got %v, want a CommandError for SELECT", err)
	}
}

func TestErrUnavailable(t *testing.T) {
	s := redistest.NewServer(t)
	pool, err := redigopool.New(s.Client(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	c := pool.Get()
	defer c.Close()
	if _, err := c.Do("SET", "k", "v"); err != nil {
		t.Fatal(err)
	}
	var reply redis.Error
	if _, err := c.Do("LPUSH", "k", "v"); !errors.As(err, &reply) || errors.Is(err, redigopool.ErrUnavailable) {
		t.Errorf("an error of Redis: got %v, want a redis.Error that is not ErrUnavailable", err)
	}
	s.Kill()
	for name, do := range map[string]func() error{
		"command":     func() error { _, err := c.Do("GET", "k"); return err },
		"all masters": func() error { _, err := c.Do("DBSIZE"); return err },
		"transaction": func() error {
			c.Send("MULTI")
			c.Send("INCR", "n")
			_, err := c.Do("EXEC")
			return err
		},
	} {
		if err := do(); !errors.Is(err, redigopool.ErrUnavailable) {
			t.Errorf("%s without a server: got %v, want ErrUnavailable", name, err)
		}
	}
}
