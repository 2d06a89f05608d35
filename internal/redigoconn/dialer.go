// Package redigoconn implements redigo's connection on a go-redis client.
// Package redigopool offers it to users of redigo. Package session runs
// scs/redisstore on it and uses what redigo does not have: a context for callers
// that take none, a commit that is conditional on the value that was read, and
// the time to live with the value.
package redigoconn

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// maxIdle is how many virtual connections a pool keeps; they hold no socket.
const maxIdle = 256

var errNilClient = errors.New("redigopool: rdb: is nil")

// CommandError is returned for a command that a shared connection cannot serve.
type CommandError struct {
	Command string // in upper case
	Reason  string
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("redigopool: %s is not available: %s", e.Command, e.Reason)
}

// Dialer makes virtual connections that share one client and what they learn
// about its server. It is safe for concurrent use.
type Dialer struct {
	rdb    goredis.UniversalClient
	caller *bounded.Caller
	// keep says that MULTI, SET, PEXPIREAT, EXEC is sent as it is. It is set when
	// a server turns out to be older than 6.2, which does not know SET … PXAT.
	keep        atomic.Bool
	guardScript *goredis.Script
}

// NewDialer returns a Dialer of connections over rdb. Nothing is dialled.
// keepTransactions sends redisstore's transaction as it is, see keep.
func NewDialer(rdb goredis.UniversalClient, keepTransactions bool) (*Dialer, error) {
	if bounded.IsNil(rdb) {
		return nil, errNilClient
	}
	d := &Dialer{rdb: rdb, caller: bounded.New(rdb), guardScript: goredis.NewScriptServerSHA(guardedSource)}
	d.keep.Store(keepTransactions)
	return d, nil
}

// Conn returns a new virtual connection. It is not safe for concurrent use.
func (d *Dialer) Conn() *Conn { return &Conn{Dialer: d} }

// Pool returns a pool of virtual connections.
func (d *Dialer) Pool() *redis.Pool {
	return &redis.Pool{
		MaxIdle: maxIdle,
		Dial:    func() (redis.Conn, error) { return d.Conn(), nil },
	}
}
