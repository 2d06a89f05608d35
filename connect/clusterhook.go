package connect

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// reloadInterval is how old a cluster client's view may grow without cause;
// go-redis' own is a minute.
const reloadInterval = 10 * time.Second

// dials remembers the outcome of the last dial: go-redis reports a dial that
// ran out of time as a bare "context deadline exceeded".
type dials struct {
	sentinel   bool
	last       atomic.Pointer[error]
	masterAddr atomic.Pointer[string] // that a sentinel connection last dialled
	count      atomic.Int64
	fails      atomic.Int64
}

func (d *dials) lastError() error {
	if p := d.last.Load(); p != nil {
		return *p
	}
	return nil
}

func (d *dials) master() string {
	if p := d.masterAddr.Load(); p != nil {
		return *p
	}
	return ""
}

func (d *dials) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if d.sentinel {
			network = dataNetwork
		}
		conn, err := next(ctx, network, addr)
		err = notNil(err)
		d.count.Add(1)
		if err != nil {
			d.fails.Add(1)
		}
		d.last.Store(&err)
		return conn, err
	}
}

var errNoMaster = errors.New("the sentinels know no master of this name")

// notNil replaces the error of sentinels that do not know the master: go-redis
// joins their redis.Nil, which a caller of GET would take for a missing key.
func notNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return errNoMaster
	}
	return err
}

func (d *dials) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (d *dials) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// clusterHook mends two habits of the cluster client. It reads the topology
// again only on MOVED or by the clock, so a dead master stays in use for a
// minute; here each failure to reach a node asks for it (go-redis does
// one reload at a time). And it repeats commands after network errors up to
// MaxRedirects, whatever MaxRetries says, and each time the node's client does
// too; here only the latter does, see retryHook.
type clusterHook struct {
	reload func(context.Context)
}

func (h *clusterHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *clusterHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.NoRetry() {
			ctx = context.WithValue(ctx, never{}, true)
		}
		err := next(ctx, h.guard(cmd))
		h.check(ctx, err)
		return err
	}
}

func (h *clusterHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		guarded := make([]redis.Cmder, len(cmds))
		for i, cmd := range cmds {
			guarded[i] = h.guard(cmd)
		}
		err := next(ctx, guarded)
		h.check(ctx, err)
		return err
	}
}

func (h *clusterHook) check(ctx context.Context, err error) {
	if unreachable(err) {
		h.reload(ctx)
	}
}

// spread are the commands that go-redis sends to several nodes or handles by
// their type. They can be repeated without harm and must reach it unwrapped.
var spread = map[string]bool{
	"mget": true, "mset": true, "del": true, "unlink": true, "exists": true, "touch": true,
	"dbsize": true, "flushdb": true, "flushall": true, "keys": true, "scan": true, "randomkey": true,
	"script": true, "function": true, "config": true, "cluster": true, "client": true, "command": true,
	"info": true, "ping": true, "wait": true, "waitaof": true, "multi": true, "exec": true, "asking": true,
	"hello": true, "auth": true, "select": true, "readonly": true, "memory": true, "latency": true, "slowlog": true, "himport": true,
}

func (h *clusterHook) guard(cmd redis.Cmder) redis.Cmder {
	if spread[cmd.Name()] {
		return cmd
	}
	return again(cmd)
}

// retryHook hands a node's client the command itself, so that it is sent again as
// often as MaxRetries says, unless the caller has it sent once.
type retryHook struct{}

// never marks the call of a command that was not to be sent again before the
// cluster's hook made it so.
type never struct{}

func (retryHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (retryHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if w, ok := cmd.(interface{ itself() redis.Cmder }); ok && ctx.Value(never{}) == nil {
			cmd = w.itself()
		}
		return next(ctx, cmd)
	}
}

func (retryHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// dialOnly is a user's hook on a node of a cluster, whose commands it sees on
// the cluster's client.
type dialOnly struct{ hook redis.Hook }

func (d dialOnly) DialHook(next redis.DialHook) redis.DialHook { return d.hook.DialHook(next) }

func (dialOnly) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (dialOnly) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
