package connect

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// dials is a hook that counts dials and remembers the error of the last one, as
// go-redis reports a dial that timed out as a bare "context deadline exceeded".
type dials struct {
	sentinel   bool
	last       atomic.Pointer[error]
	masterAddr atomic.Pointer[string] // that a sentinel connection last dialled
	count      atomic.Int64
	fails      atomic.Int64
}

// lastError returns the error of the last dial, nil if it succeeded.
func (d *dials) lastError() error {
	if p := d.last.Load(); p != nil {
		return *p
	}
	return nil
}

// master returns the address of the master that a sentinel connection dialled
// last, "" before the first dial.
func (d *dials) master() string {
	if p := d.masterAddr.Load(); p != nil {
		return *p
	}
	return ""
}

// DialHook counts a dial. It marks the dials of a sentinel connection that lead to
// the master.
func (d *dials) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if d.sentinel {
			network = masterNetwork
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

// errNoMaster means that no failover has ended yet, or that the name is wrong.
var errNoMaster = errors.New("the sentinels know no master of this name")

// notNil replaces the error of sentinels that do not know the master. go-redis
// joins their redis.Nil, which a caller of GET would take for a missing key.
func notNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return errNoMaster
	}
	return err
}

// ProcessHook and ProcessPipelineHook change nothing: only dials are counted.
func (d *dials) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (d *dials) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
