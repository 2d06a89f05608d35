package peerbench

import (
	"context"
	"time"

	redigostore "github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// The middlewares have their defaults, except for deadlines that a loaded machine keeps,
// and that failures of Redis are seen.

const patience = 4 * time.Second

func (e *env) limits(rdb redis.UniversalClient, opts ...ratelimit.Option) *ratelimit.Limiter {
	opts = append(opts, ratelimit.WithFailureMode(ratelimit.FailClosed), ratelimit.WithKeyPrefix(e.prefix), ratelimit.WithTimeout(patience))
	l, err := ratelimit.New(rdb, ratelimit.PerMinute(100_000_000), opts...)
	e.check(err)
	return l
}

func (e *env) sessions(rdb redis.UniversalClient) *session.Manager {
	m, err := session.New(rdb, session.WithCookie(session.Cookie{Insecure: true}), session.WithKeyPrefix(e.prefix), session.WithTimeouts(patience, patience))
	e.check(err)
	return m
}

func (e *env) responses(rdb redis.UniversalClient, opts ...cache.Option) *cache.Cache {
	failed := func(context.Context, error) { e.failed.Add(1) }
	opts = append(opts, cache.WithHooks(cache.Hooks{Failed: failed}), cache.WithKeyPrefix(e.prefix), cache.WithTimeouts(patience, patience))
	c, err := cache.New(rdb, opts...)
	e.check(err)
	e.closes(c.Close)
	return c
}

func (e *env) locks(rdb redis.UniversalClient) *lockmw.Locker {
	l, err := lockmw.New(rdb, lockmw.WithKeyPrefix(e.prefix), lockmw.WithTimeout(patience))
	e.check(err)
	e.closes(l.Close)
	return l
}

// scs are sessions as most people have them.
func (e *env) scs() *scs.SessionManager {
	m := scs.New()
	m.Store = redigostore.New(e.redigo())
	return m
}
