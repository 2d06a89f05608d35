package redigoconn

import (
	"context"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// spread are the commands that concern all masters. go-redis' cluster client
// would send them to one, and return a third of the keys.
var spread = map[string]bool{"KEYS": true, "DBSIZE": true, "FLUSHDB": true, "FLUSHALL": true, "SCRIPT": true}

// private are the commands that would change or occupy a connection that other
// callers share.
var private = map[string]string{
	"SELECT": "it would change the database of a connection that others use; give the client's URL the database",
	"AUTH":   "the client authenticates", "HELLO": "the client speaks its own protocol", "RESET": "the connection is shared", "QUIT": "the connection is shared",
	"CLIENT": "the connection is shared", "READONLY": "the client routes", "READWRITE": "the client routes", "ASKING": "the client routes",
	"WATCH": "commands may go over different connections; use a script", "UNWATCH": "commands may go over different connections; use a script",
	"SUBSCRIBE": "use go-redis' PubSub", "PSUBSCRIBE": "use go-redis' PubSub", "SSUBSCRIBE": "use go-redis' PubSub",
	"UNSUBSCRIBE": "use go-redis' PubSub", "PUNSUBSCRIBE": "use go-redis' PubSub", "SUNSUBSCRIBE": "use go-redis' PubSub",
	"MONITOR": "it would occupy a connection", "SYNC": "it would occupy a connection", "PSYNC": "it would occupy a connection",
	"WAIT": "it waits for another connection's writes", "WAITAOF": "it waits for another connection's writes",
	"BLPOP": "it would block a connection", "BRPOP": "it would block a connection", "BLMOVE": "it would block a connection", "BRPOPLPUSH": "it would block a connection",
	"BLMPOP": "it would block a connection", "BZPOPMIN": "it would block a connection", "BZPOPMAX": "it would block a connection", "BZMPOP": "it would block a connection",
}

// refuse returns a [*CommandError] for a command that cannot be served.
func (c *Conn) refuse(cmd command) error {
	if reason, ok := private[cmd.name]; ok {
		return &CommandError{Command: cmd.name, Reason: reason}
	}
	if cmd.name == "XREAD" || cmd.name == "XREADGROUP" {
		for _, arg := range cmd.args {
			if strings.EqualFold(text(arg), "BLOCK") {
				return &CommandError{Command: cmd.name, Reason: "with BLOCK it would block a connection"}
			}
			if strings.EqualFold(text(arg), "STREAMS") {
				break
			}
		}
	}
	if _, cluster := bounded.Unwrap(c.rdb).(*goredis.ClusterClient); cluster && cmd.name == "SCAN" {
		return &CommandError{Command: cmd.name, Reason: "on a cluster a cursor means one node; use KEYS, which scans all masters"}
	}
	if spread[cmd.name] && c.inMulti() {
		return &CommandError{Command: cmd.name, Reason: "it reaches several nodes and cannot be part of a transaction"}
	}
	return nil
}

// inMulti reports whether the next command is part of a transaction, also while
// its MULTI is still queued.
func (c *Conn) inMulti() bool {
	multi := c.multi
	for _, cmd := range c.queue {
		switch cmd.name {
		case "MULTI":
			multi = true
		case "EXEC", "DISCARD":
			multi = false
		}
	}
	return multi
}

func (c *Conn) runSpread(ctx context.Context, cmd command) (any, error) {
	var (
		mu   sync.Mutex
		keys = map[string]struct{}{}
		sum  int64
		last any
	)
	err := c.caller.Do(ctx, func(ctx context.Context) error {
		return c.eachMaster(ctx, func(ctx context.Context, master goredis.Cmdable) error {
			switch {
			case cmd.name == "KEYS" && len(cmd.args) == 1:
				it := master.Scan(ctx, 0, text(cmd.args[0]), 1000).Iterator()
				for it.Next(ctx) {
					mu.Lock()
					keys[it.Val()] = struct{}{}
					mu.Unlock()
				}
				return it.Err()
			default:
				sent := goredis.NewCmd(ctx, append([]any{strings.ToLower(cmd.name)}, cmd.args...)...)
				if err := master.(processor).Process(ctx, sent); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				last = sent.Val()
				if n, ok := last.(int64); ok {
					sum += n
				}
				return nil
			}
		})
	})
	if err != nil {
		if fromServer(err) {
			return wrapped(cmd.name, err), nil
		}
		return nil, wrapped(cmd.name, err)
	}
	switch {
	case cmd.name == "KEYS":
		out := make([]any, 0, len(keys))
		for key := range keys {
			out = append(out, []byte(key))
		}
		return out, nil
	case cmd.name == "DBSIZE":
		return sum, nil
	}
	if s, ok := last.(string); ok && s == "OK" {
		return s, nil
	}
	return resp2(last), nil
}

type processor interface {
	Process(ctx context.Context, cmd goredis.Cmder) error
}

func (c *Conn) eachMaster(ctx context.Context, fn func(context.Context, goredis.Cmdable) error) error {
	if cluster, ok := bounded.Unwrap(c.rdb).(*goredis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, master *goredis.Client) error { return fn(ctx, master) })
	}
	return fn(ctx, c.rdb)
}
