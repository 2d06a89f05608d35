package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/redigoconn"
	"github.com/redishttp/redishttp/internal/rights"
)

// store is scs/redisstore with contexts: redisstore knows none, but each of
// its pools here hands out one virtual connection, to which the context of the
// call is bound.
type store struct {
	m      *Manager
	pairs  sync.Pool   // of *pair
	all    *redis.Pool // for operators: without a deadline
	nodes  *breaker.Set
	rights *rights.Watch
	caller *bounded.Caller
	saves  saveQueue
	fresh  *fresh
}

var (
	_ scs.CtxStore         = (*store)(nil)
	_ scs.IterableCtxStore = (*store)(nil)
)

// pair is a redisstore bound to one virtual connection.
type pair struct {
	conn   *redigoconn.Conn
	pool   *redis.Pool
	store  *redisstore.RedisStore
	legacy *redisstore.RedisStore // what scs wrote by itself, see WithScsSessions
}

// newStore returns a store that has not dialled.
func newStore(rdb goredis.UniversalClient, m *Manager) (*store, error) {
	dialer, err := redigoconn.NewDialer(rdb, false)
	if err != nil {
		return nil, err
	}
	s := &store{m: m, nodes: breaker.NewSet(rdb), rights: rights.NewWatch(m.logger), fresh: newFresh(), all: dialer.Pool(), caller: dialer.Caller()}
	s.pairs.New = func() any {
		conn := dialer.Conn()
		pool := &redis.Pool{MaxIdle: 1, Dial: func() (redis.Conn, error) { return conn, nil }}
		return &pair{conn, pool, redisstore.NewWithPrefix(pool, m.base), redisstore.NewWithPrefix(pool, m.legacyPrefix)}
	}
	return s, nil
}

// with runs one operation of redisstore on key under a context and the breaker
// of its node.
func (s *store) with(ctx context.Context, key string, timeout time.Duration, fn func(*pair) error) error {
	call, ok := s.nodes.Allow(key)
	if !ok {
		return fmt.Errorf("session: %w", ErrUnavailable)
	}
	bound, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := s.on(bound, fn)
	hungUp := err != nil && errors.Is(ctx.Err(), context.Canceled)
	s.report(ctx, call, err, hungUp)
	if err != nil && !hungUp {
		return fmt.Errorf("session: %w", blame(err))
	}
	return err
}

// on runs one operation of redisstore under a context.
func (s *store) on(ctx context.Context, fn func(*pair) error) error {
	p, ok := s.pairs.Get().(*pair)
	if !ok {
		return errors.New("session: no store")
	}
	p.conn.Bind(ctx)
	err := fn(p)
	p.conn.Unbind() // a request must not be kept alive by the pool
	s.pairs.Put(p)
	return err
}

// report tells the breaker of the node how the call ended, and logs when that
// opens or closes.
func (s *store) report(ctx context.Context, call breaker.Call, err error, hungUp bool) {
	var answer redis.Error // as redigo has it
	switch {
	case hungUp: // the client, which says nothing about Redis
		err = context.Canceled
	case errors.As(err, &answer):
		err = breaker.AnswerError{Err: answer}
	}
	s.settle(ctx, call, err)
}

// FindCtx ends with the request's context: a session is of no use once its client
// has disconnected.
func (s *store) FindCtx(ctx context.Context, token string) (b []byte, found bool, err error) {
	st := s.m.state(ctx)
	if st == nil || st.aside.Load() {
		return s.find(ctx, nil, hashOf(token))
	}
	hash := st.readHash(ctx, token)
	if b, ok := st.remembered(hash); ok {
		return b, true, nil
	}
	return s.find(ctx, st, hash)
}

// find reads and decrypts a session.
func (s *store) find(ctx context.Context, st *state, hash string) (b []byte, found bool, err error) {
	stored, ttl, found, err := s.read(ctx, st, hash)
	switch {
	case isWrongType(err):
		st.found(hash, nil, 0)
		return nil, false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case err != nil:
		return nil, false, err
	case !found && st != nil:
		return s.findLegacy(ctx, st)
	case !found:
		return nil, false, nil
	}
	b, err = s.m.seal.open(s.m.base, hash, stored)
	if err != nil {
		st.found(hash, nil, ttl)
		return nil, false, err
	}
	st.found(hash, &value{hash, b, stored}, ttl)
	return b, true, nil
}

// read reads a session, or finds it among what was prefetched.
func (s *store) read(ctx context.Context, st *state, hash string) (stored []byte, ttl time.Duration, found bool, err error) {
	now := time.Now()
	ahead, err := st.prefetched(ctx, hash)
	if err != nil {
		return nil, 0, false, fmt.Errorf("session: %w", err)
	}
	if ahead == nil {
		ask := st != nil && !s.fresh.is(hash, now)
		err = s.with(ctx, s.m.base+hash, s.m.loadTimeout, func(p *pair) (err error) {
			p.conn.TrackTTL(ask)
			stored, found, err = p.store.Find(hash)
			ttl = p.conn.TTL()
			return err
		})
	} else if stored, found, err = ahead.Value(); err != nil {
		err = fmt.Errorf("session: %w", blame(err))
	} else {
		ttl = ahead.TTL()
	}
	if found && ttl > 0 {
		s.fresh.set(hash, now.Add(min(ttl-(s.m.idle-s.m.step()), s.m.step())))
	}
	return stored, ttl, found, err
}

// CommitCtx does not end with the request's context: the handler has done its work,
// and may have responded already. An unchanged session is not written. scs' expiry
// is ignored: the life of the key follows from b.
func (s *store) CommitCtx(ctx context.Context, token string, b []byte, _ time.Time) error {
	if err := s.m.fits(b); err != nil {
		return err
	}
	st := s.m.state(ctx)
	hash := st.hashOf(token)
	if st != nil {
		base := st.read(hash)
		if st.unchanged = base != nil && s.m.same(base.bytes, b); st.unchanged {
			return nil
		}
		if base != nil {
			return s.commitGuarded(ctx, st, base, b)
		}
	}
	stored, err := s.m.seal.seal(s.m.base+hash, b)
	if err != nil {
		return err
	}
	life := s.m.lifeOf(b)
	err = s.with(context.WithoutCancel(ctx), s.m.base+hash, s.m.saveTimeout, func(p *pair) error {
		p.conn.ExpireIn(life)
		return p.store.Commit(hash, stored, time.Now().Add(life))
	})
	if st != nil && err == nil {
		st.committed(&value{hash, b, stored})
	}
	return err
}

// fits returns ErrTooLarge for a session above WithMaxSize.
func (m *Manager) fits(b []byte) error {
	if len(b) > m.maxSize {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), m.maxSize)
	}
	return nil
}

// DeleteCtx deletes now, but a rotated session only when the new one is saved.
func (s *store) DeleteCtx(ctx context.Context, token string) error {
	if token == "" { // of a session that is not saved yet
		return nil
	}
	st := s.m.state(ctx)
	if st == nil || st.aside.Load() {
		return s.delete(ctx, hashOf(token))
	}
	hash := st.hashOf(token)
	if st.rotated(hash) {
		return nil
	}
	if err := s.destroy(ctx, st, st.doomed(hash)); err != nil {
		return err
	}
	st.destroyed()
	return nil
}

// delete removes a session at once, whatever the request knows of it.
func (s *store) delete(ctx context.Context, hash string) error {
	_, err := s.deleted(ctx, hash)
	return err
}

// deleted reports whether there was something to delete.
func (s *store) deleted(ctx context.Context, hash string) (was bool, err error) {
	err = s.with(context.WithoutCancel(ctx), s.m.base+hash, s.m.saveTimeout, func(p *pair) error {
		err := p.store.Delete(hash)
		was = p.conn.Deleted() > 0
		return err
	})
	return was, err
}

// peek reads a stored session during a save.
func (s *store) peek(ctx context.Context, hash string) (stored []byte, found bool, err error) {
	err = s.with(context.WithoutCancel(ctx), s.m.base+hash, s.m.saveTimeout, func(p *pair) (err error) {
		stored, found, err = p.store.Find(hash)
		return err
	})
	return stored, found, err
}

// AllCtx returns every session, of all masters. scs.IterableCtxStore has it;
// [Manager.Iterate] reads one at a time instead.
func (s *store) AllCtx(ctx context.Context) (map[string][]byte, error) {
	all := map[string][]byte{}
	err := s.each(ctx, func(hash string, stored []byte) error {
		all[hash] = stored
		return nil
	})
	return all, err
}

// each calls fn for every session. A key of another type is reported and skipped.
func (s *store) each(ctx context.Context, fn func(hash string, stored []byte) error) error {
	conn := s.all.Get()
	defer conn.Close()
	keys, err := redis.Strings(redis.DoContext(conn, ctx, "KEYS", s.m.base+"*")) // SCAN, on each master
	if err != nil {
		return fmt.Errorf("session: iterate: %w", blame(err))
	}
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		hash := strings.TrimPrefix(key, s.m.base)
		stored, found, err := s.peek(ctx, hash)
		switch {
		case isWrongType(err):
			s.m.failed(ctx, fmt.Errorf("%w: %w", ErrCorrupt, err))
		case err != nil:
			return err
		case found:
			if err := fn(hash, stored); err != nil {
				return err
			}
		}
	}
	return nil
}
