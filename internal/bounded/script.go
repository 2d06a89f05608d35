package bounded

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Run runs a script whose keys are in one slot, by its hash when the server
// knows it. [redis.Script.Run] would ask every master of a cluster for the hash
// of a script that is new to the process, and a master of a ring that has
// nothing to do with the keys, and would hold a lock until all have replied: while one hangs,
// every call on every key would wait for it, one after the other. Here only the
// node of the keys is asked.
func (c *Caller) Run(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	if hash := c.Hash(ctx, script, keys); hash != "" {
		if cmd := c.EvalSha(ctx, hash, keys, args...); !redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			return cmd
		}
		return c.again(ctx, script, keys, args)
	}
	return script.Eval(ctx, c, keys, args...)
}

// again runs a script that a server does not know any more: after SCRIPT FLUSH, a
// restart or a failover. It comes back by SCRIPT LOAD, for servers evict scripts that
// they know from EVAL alone (Redis 7.4 and later, Valkey 8: beyond 500).
func (c *Caller) again(ctx context.Context, script *redis.Script, keys []string, args []any) *redis.Cmd {
	if c.Load(ctx, script, keys) {
		if cmd := c.EvalSha(ctx, script.Hash(), keys, args...); !redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			return cmd
		}
	}
	return script.Eval(ctx, c, keys, args...)
}

// Hash is that of a script, which the server of its keys makes and then knows the
// script: under FIPS 140-3 a process has no SHA-1. It is "" if it cannot be had.
func (c *Caller) Hash(ctx context.Context, script *redis.Script, keys []string) string {
	hash := script.Hash()
	if hash == "" && c.Load(ctx, script, keys) { // the first call
		hash = script.Hash()
	}
	return hash
}

// Load loads a script on the server of its keys. It reports false if that failed.
func (c *Caller) Load(ctx context.Context, script *redis.Script, keys []string) bool {
	return len(keys) > 0 && script.Load(ctx, loader{c, keys[0]}).Err() == nil
}

// loader loads a script on the node of a key alone.
type loader struct {
	*Caller
	key string
}

func (l loader) ScriptLoad(ctx context.Context, script string) *redis.StringCmd {
	cmd, err := await(ctx, l.Caller, func(ctx context.Context) *redis.StringCmd {
		if _, ok := Unwrap(l.rdb).(Single); ok {
			return l.rdb.ScriptLoad(ctx, script)
		}
		if node, err := NodeOf(ctx, l.rdb, l.key); node != nil && err == nil {
			return node.ScriptLoad(ctx, script)
		}
		// Which node it is only the client knows. That of the key can say the
		// hash as well; it learns the script by EVAL.
		cmd := redis.NewStringCmd(ctx, "eval", "return redis.sha1hex(ARGV[1])", 1, l.key, script)
		cmd.SetFirstKeyPos(3)
		_ = l.rdb.Process(ctx, cmd)
		return cmd
	})
	if cmd == nil {
		cmd = redis.NewStringCmd(ctx, "script", "load")
		cmd.SetErr(err)
	}
	return cmd
}
