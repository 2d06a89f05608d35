package bounded

import "github.com/redis/go-redis/v9"

// Once wraps cmd so that go-redis, on a single node and on a cluster, does not send
// it again after a network error. It still follows redirects (MOVED, ASK), because a
// redirected command was not executed. ok is false for types that are not listed
// here: wrapping them hides methods that go-redis' automatic pipelining needs (a
// hook that reads the error of such a command would wait for itself).
func Once(cmd redis.Cmder) (_ redis.Cmder, ok bool) {
	if cmd.NoRetry() {
		return cmd, true
	}
	switch c := cmd.(type) {
	case *redis.Cmd:
		return onceCmd{c}, true
	case *redis.StatusCmd:
		return onceStatusCmd{c}, true
	case *redis.StringCmd:
		return onceStringCmd{c}, true
	case *redis.IntCmd:
		return onceIntCmd{c}, true
	case *redis.BoolCmd:
		return onceBoolCmd{c}, true
	case *redis.FloatCmd:
		return onceFloatCmd{c}, true
	case *redis.SliceCmd:
		return onceSliceCmd{c}, true
	case *redis.DurationCmd:
		return onceDurationCmd{c}, true
	case *redis.StringSliceCmd:
		return onceStringSliceCmd{c}, true
	case *redis.IntSliceCmd:
		return onceInts{c}, true
	case *redis.BoolSliceCmd:
		return onceBoolSliceCmd{c}, true
	case *redis.MapStringStringCmd:
		return onceMapStringStringCmd{c}, true
	}
	return onceAny{cmd}, false
}

// There is one type for each of go-redis', because only embedding the concrete type
// keeps its unexported methods.
type (
	onceAny                struct{ redis.Cmder }
	onceCmd                struct{ *redis.Cmd }
	onceStatusCmd          struct{ *redis.StatusCmd }
	onceStringCmd          struct{ *redis.StringCmd }
	onceIntCmd             struct{ *redis.IntCmd }
	onceBoolCmd            struct{ *redis.BoolCmd }
	onceFloatCmd           struct{ *redis.FloatCmd }
	onceSliceCmd           struct{ *redis.SliceCmd }
	onceDurationCmd        struct{ *redis.DurationCmd }
	onceStringSliceCmd     struct{ *redis.StringSliceCmd }
	onceInts               struct{ *redis.IntSliceCmd }
	onceBoolSliceCmd       struct{ *redis.BoolSliceCmd }
	onceMapStringStringCmd struct{ *redis.MapStringStringCmd }
)

// NoRetry keeps go-redis from a retry. Each type here has the same three
// methods: Itself returns the command inside, and Clone, which go-redis calls for
// commands that it sends to several nodes, wraps the clone as well.
func (onceAny) NoRetry() bool { return true }

func (c onceAny) Itself() redis.Cmder { return c.Cmder }

func (c onceAny) Clone() redis.Cmder { return onceAny{c.Cmder.Clone()} }

func (onceCmd) NoRetry() bool { return true }

func (c onceCmd) Itself() redis.Cmder { return c.Cmd }

func (c onceCmd) Clone() redis.Cmder { return again(c.Cmd.Clone()) }

func (onceStatusCmd) NoRetry() bool { return true }

func (c onceStatusCmd) Itself() redis.Cmder { return c.StatusCmd }

func (c onceStatusCmd) Clone() redis.Cmder { return again(c.StatusCmd.Clone()) }

func (onceStringCmd) NoRetry() bool { return true }

func (c onceStringCmd) Itself() redis.Cmder { return c.StringCmd }

func (c onceStringCmd) Clone() redis.Cmder { return again(c.StringCmd.Clone()) }

func (onceIntCmd) NoRetry() bool { return true }

func (c onceIntCmd) Itself() redis.Cmder { return c.IntCmd }

func (c onceIntCmd) Clone() redis.Cmder { return again(c.IntCmd.Clone()) }

func (onceBoolCmd) NoRetry() bool { return true }

func (c onceBoolCmd) Itself() redis.Cmder { return c.BoolCmd }

func (c onceBoolCmd) Clone() redis.Cmder { return again(c.BoolCmd.Clone()) }

func (onceFloatCmd) NoRetry() bool { return true }

func (c onceFloatCmd) Itself() redis.Cmder { return c.FloatCmd }

func (c onceFloatCmd) Clone() redis.Cmder { return again(c.FloatCmd.Clone()) }

func (onceSliceCmd) NoRetry() bool { return true }

func (c onceSliceCmd) Itself() redis.Cmder { return c.SliceCmd }

func (c onceSliceCmd) Clone() redis.Cmder { return again(c.SliceCmd.Clone()) }

func (onceDurationCmd) NoRetry() bool { return true }

func (c onceDurationCmd) Itself() redis.Cmder { return c.DurationCmd }

func (c onceDurationCmd) Clone() redis.Cmder { return again(c.DurationCmd.Clone()) }

func (onceStringSliceCmd) NoRetry() bool { return true }

func (c onceStringSliceCmd) Itself() redis.Cmder { return c.StringSliceCmd }

func (c onceStringSliceCmd) Clone() redis.Cmder { return again(c.StringSliceCmd.Clone()) }

func (onceInts) NoRetry() bool { return true }

func (c onceInts) Itself() redis.Cmder { return c.IntSliceCmd }

func (c onceInts) Clone() redis.Cmder { return again(c.IntSliceCmd.Clone()) }

func (onceBoolSliceCmd) NoRetry() bool { return true }

func (c onceBoolSliceCmd) Itself() redis.Cmder { return c.BoolSliceCmd }

func (c onceBoolSliceCmd) Clone() redis.Cmder { return again(c.BoolSliceCmd.Clone()) }

func (onceMapStringStringCmd) NoRetry() bool { return true }

func (c onceMapStringStringCmd) Itself() redis.Cmder { return c.MapStringStringCmd }

func (c onceMapStringStringCmd) Clone() redis.Cmder { return again(c.MapStringStringCmd.Clone()) }

// again wraps a clone of a command.
func again(cmd redis.Cmder) redis.Cmder {
	c, _ := Once(cmd)
	return c
}
