package redigopool

import (
	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redigoconn"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// ErrUnavailable matches every error of this package's connections that means
// that Redis cannot be used now: it did not answer, or not in time. It is the
// ErrUnavailable of all packages of this module. A reply of Redis is a
// [redis.Error], as redigo's users expect, and does not match.
var ErrUnavailable = unavailable.Err

// CommandError is returned for a command that a shared connection cannot serve.
// Its field Command is the name in upper case, its field Reason says why.
// Nothing was sent.
type CommandError = redigoconn.CommandError

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct{ keepTransactions bool }

// WithTransactionsKept sets whether MULTI, SET, PEXPIREAT, EXEC is sent as it is
// instead of as one SET with PXAT. The default is false: servers before 6.2 are detected
// by their error. Use it for such servers behind a proxy that hides the error.
func WithTransactionsKept(keep bool) Option {
	return optionFunc(func(c *config) { c.keepTransactions = keep })
}

// New returns a pool of virtual connections over rdb. Nothing is dialled. It
// fails only if rdb is nil. Closing the pool does not close rdb.
func New(rdb goredis.UniversalClient, opts ...Option) (*redis.Pool, error) {
	var c config
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c)
		}
	}
	dialer, err := redigoconn.NewDialer(rdb, c.keepTransactions)
	if err != nil {
		return nil, err
	}
	return dialer.Pool(), nil
}
