package redigoconn

import (
	"context"
	"errors"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// flush runs the queue: consecutive ordinary commands as one pipeline,
// transactions at their EXEC. After an error that is not Redis' own the queue is
// empty, as on a broken connection.
func (c *Conn) flush(ctx context.Context) error {
	if c.closed {
		return errClosed
	}
	queue := c.queue
	c.queue = nil
	var batch []command
	for i, cmd := range queue {
		local, reply, err := c.step(ctx, cmd, &batch)
		if err == nil && local {
			c.replies = append(c.replies, reply)
		}
		if err == nil && i == len(queue)-1 {
			err = c.runBatch(ctx, &batch)
		}
		if err != nil {
			c.replies, c.multi, c.tx = nil, false, nil
			return err
		}
	}
	return nil
}

// step runs a command that concerns transactions or reaches several nodes, and
// adds any other to the batch.
func (c *Conn) step(ctx context.Context, cmd command, batch *[]command) (local bool, reply any, err error) {
	ordinary := !c.multi && cmd.name != "MULTI" && cmd.name != "EXEC" && cmd.name != "DISCARD"
	if ordinary && !spread[cmd.name] {
		*batch = append(*batch, cmd)
		return false, nil, nil
	}
	if err := c.runBatch(ctx, batch); err != nil { // replies keep their order
		return false, nil, err
	}
	switch {
	case ordinary:
		reply, err = c.runSpread(ctx, cmd)
		return true, reply, err
	case !c.multi && cmd.name == "MULTI":
		c.multi = true
		return true, "OK", nil
	case !c.multi:
		return true, redis.Error("ERR " + cmd.name + " without MULTI"), nil
	case cmd.name == "MULTI":
		return true, redis.Error("ERR MULTI calls can not be nested"), nil
	case cmd.name == "DISCARD":
		c.multi, c.tx = false, nil
		return true, "OK", nil
	case cmd.name == "EXEC":
		tx := c.tx
		c.multi, c.tx = false, nil
		reply, err = c.exec(ctx, tx)
		return true, reply, err
	}
	c.tx = append(c.tx, cmd)
	return true, "QUEUED", nil
}

func (c *Conn) runBatch(ctx context.Context, batch *[]command) error {
	cmds := *batch
	*batch = nil
	if len(cmds) == 0 {
		return nil
	}
	sent := make([]goredis.Cmder, len(cmds))
	for i, cmd := range cmds {
		sent[i] = cmd.goRedis(ctx)
	}
	var ttl *goredis.DurationCmd
	if c.trackTTL && len(cmds) == 1 && cmds[0].name == "GET" && len(cmds[0].args) == 1 {
		ttl = goredis.NewDurationCmd(ctx, time.Millisecond, "pttl", cmds[0].args[0])
	}
	err := c.caller.Do(ctx, func(ctx context.Context) error {
		if len(sent) == 1 && ttl == nil {
			return c.rdb.Process(ctx, sent[0])
		}
		pipe := c.rdb.Pipeline()
		for _, cmd := range sent {
			_ = pipe.Process(ctx, cmd)
		}
		if ttl != nil {
			_ = pipe.Process(ctx, ttl)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	if err != nil && (!fromServer(err) || bounded.Unmarked(sent)) {
		return wrapped(cmds[0].name, err)
	}
	if ttl != nil {
		c.ttl = ttl.Val()
	}
	for i, cmd := range sent {
		reply, err := result(cmds[i], cmd)
		if err != nil {
			return err
		}
		if n, ok := reply.(int64); ok && cmds[i].name == "DEL" {
			c.deleted = n
		}
		c.replies = append(c.replies, reply)
	}
	return nil
}

// exec runs a transaction.
func (c *Conn) exec(ctx context.Context, tx []command) (any, error) {
	if len(tx) == 0 {
		return []any{}, nil
	}
	if c.guard != nil {
		return c.guarded(ctx, tx)
	}
	if set, ok := c.collapse(tx); ok && !c.keep.Load() {
		cmd := set.goRedis(ctx)
		err := c.caller.Do(ctx, func(ctx context.Context) error { return c.rdb.Process(ctx, cmd) })
		switch {
		case err == nil:
			return []any{"OK", int64(1)}, nil
		case !fromServer(err):
			return nil, wrapped("EXEC", err)
		case !goredis.HasErrorPrefix(err, "syntax"):
			return refusal(err), nil
		}
		c.keep.Store(true) // a server before 6.2 does not know PXAT
	}
	sent := make([]goredis.Cmder, len(tx))
	for i, cmd := range tx {
		sent[i] = cmd.goRedis(ctx)
	}
	err := c.caller.Do(ctx, func(ctx context.Context) error {
		pipe := c.rdb.TxPipeline()
		for _, cmd := range sent {
			_ = pipe.Process(ctx, cmd)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	if err != nil && (!fromServer(err) || bounded.Unmarked(sent)) {
		return nil, wrapped("EXEC", err)
	}
	all := failure{}
	replies := make([]any, len(sent))
	for i, cmd := range sent {
		if replies[i], err = result(tx[i], cmd); err != nil {
			return nil, err
		}
		if e, ok := replies[i].(redis.Error); ok && all.err == nil {
			all.err = e
		}
	}
	if all.err != nil {
		all.reply = replies
		return all, nil //nolint:nilerr // the error is in the reply, as redigo has it
	}
	return replies, nil
}

// fromServer reports whether err is a reply of Redis: an error, or nil for a key
// that does not exist.
func fromServer(err error) bool {
	var server goredis.Error
	return errors.As(err, &server)
}

// collapse returns the one command that does what redisstore's transaction does.
func (c *Conn) collapse(tx []command) (command, bool) {
	if len(tx) != 2 || tx[0].name != "SET" || tx[1].name != "PEXPIREAT" || len(tx[0].args) != 2 || len(tx[1].args) != 2 {
		return command{}, false
	}
	at, ok := tx[1].args[1].(int64)
	// SET refuses times in the past that PEXPIREAT accepts.
	key := text(tx[0].args[0])
	if !ok || at <= 0 || key == "" || key != text(tx[1].args[0]) {
		return command{}, false
	}
	word, n := c.expiry(at)
	return command{name: "SET", args: []any{tx[0].args[0], tx[0].args[1], word, n}}, true
}
