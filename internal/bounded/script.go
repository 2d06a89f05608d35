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
	if hash := c.hash(ctx, script, keys); hash != "" {
		if cmd := c.EvalSha(ctx, hash, keys, args...); !redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			return cmd
		}
	}
	return script.Eval(ctx, c, keys, args...)
}

// hash is the script's, which the server makes; "" if it cannot be had.
func (c *Caller) hash(ctx context.Context, script *redis.Script, keys []string) string {
	hash := script.Hash()
	if hash == "" && len(keys) > 0 { // the first call
		_ = script.Load(ctx, loader{c, keys[0]}).Err()
		hash = script.Hash()
	}
	return hash
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
