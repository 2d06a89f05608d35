package redigopool

import (
	"errors"
	"fmt"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
)

// maxIdle is how many virtual connections a pool keeps; they hold no socket.
const maxIdle = 256

// An Option changes a default of [New] and [NewConn].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct{ keepTransactions bool }

// WithTransactionsKept sends MULTI, SET, PEXPIREAT, EXEC as it is instead of
// as one SET with PXAT, for servers before 6.2 behind a proxy that hides its
// errors. The default is false.
func WithTransactionsKept(keep bool) Option {
	return optionFunc(func(c *config) { c.keepTransactions = keep })
}

// CommandError is a command that a shared connection cannot serve.
type CommandError struct {
	Command string
	Reason  string
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("redigopool: %s is not available: %s", e.Command, e.Reason)
}

// New returns a pool of virtual connections over rdb. Nothing is dialled.
func New(rdb goredis.UniversalClient, opts ...Option) (*redis.Pool, error) {
	shared, err := newShared(rdb, opts)
	if err != nil {
		return nil, err
	}
	return &redis.Pool{
		MaxIdle: maxIdle,
		Dial:    func() (redis.Conn, error) { return &Conn{shared: shared}, nil },
	}, nil
}

// NewConn returns one virtual connection over rdb, for a caller that binds
// contexts to it with [Conn.Bind]. It is not safe for concurrent use.
func NewConn(rdb goredis.UniversalClient, opts ...Option) (*Conn, error) {
	shared, err := newShared(rdb, opts)
	if err != nil {
		return nil, err
	}
	return &Conn{shared: shared}, nil
}

// Pairing makes virtual connections that share what they learn about the
// server. It is what [New] uses, for callers that keep their own pools.
type Pairing struct{ shared *shared }

// NewPairing returns a Pairing over rdb.
func NewPairing(rdb goredis.UniversalClient, opts ...Option) (*Pairing, error) {
	shared, err := newShared(rdb, opts)
	if err != nil {
		return nil, err
	}
	return &Pairing{shared}, nil
}

// Conn returns a new virtual connection.
func (p *Pairing) Conn() *Conn { return &Conn{shared: p.shared} }

var errNil = errors.New("redigopool: rdb: is nil")
