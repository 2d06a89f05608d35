package store

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Ahead is a look-up whose commands are sent with those of outer middlewares,
// before it is known whether the request gets here.
type Ahead struct {
	s     *Store
	ctx   context.Context
	guess Found
	rd    lookupRead
	say   *redis.Cmd // of look.lua, nil if it is not needed
	cmds  []redis.Cmder
	space [5]redis.Cmder
	call  breaker.Call
	gen   uint64
}

// sharedSize is from which size on a body is not read by each of the concurrent
// requests for it: a look-up that they share costs a round trip more, and spares the
// bytes.
const sharedSize = 8 << 10

// Ahead returns the look-up that [Store.Lookup] would make, nil if none is to be
// prefetched: the node is away, a large body is being read, or the script is not loaded
// yet.
func (s *Store) Ahead(ctx context.Context, p Place, h http.Header, lease bool) *Ahead {
	k := s.memo.get(p.Hash)
	guess := Found{Place: p, Names: k.names, Variant: s.set.Rules.Variant(k.names, h)}
	if s.pending.has(p.Log) || s.ended.Load() || k.size > sharedSize && s.shares.busy(p.Hash+guess.Variant) {
		return nil
	}
	q := wanted{h: h, class: ClassOf(h), probe: !time.Now().Before(k.until)}
	hash := ""
	if q.probe || s.doubtful(&guess) {
		if hash = s.lookScript.Hash(); hash == "" {
			return nil
		}
	}
	call, ok := s.nodes.Allow(p.Log)
	if !ok {
		return nil
	}
	if lease && q.probe {
		q.token = rand.Text()
	}
	a := &Ahead{s: s, ctx: ctx, guess: guess, call: call, gen: s.gen.Load()}
	a.rd = s.lookupOf(&a.guess, q)
	a.cmds = a.space[:0]
	for _, c := range a.rd.call {
		a.say = redis.NewCmd(ctx, bounded.ScriptArgs("evalsha", hash, c.keys, c.args)...)
		a.say.SetFirstKeyPos(3)
		a.cmds = append(a.cmds, a.say)
	}
	a.cmds = a.rd.append(ctx, a.cmds, k.asksFor(&a.guess))
	return a
}

// Place returns where the look-up was for.
func (a *Ahead) Place() Place { return a.guess.Place }

// Commands returns the commands of the look-up; all are of the node of [Ahead.Key].
func (a *Ahead) Commands() []redis.Cmder { return a.cmds }

// Key returns the key that decides about the node.
func (a *Ahead) Key() string { return a.guess.Log }

// Timeout returns the longest that the replies are waited for.
func (a *Ahead) Timeout() time.Duration { return a.s.set.ReadTimeout }

// Caller returns what the store sends its commands with.
func (a *Ahead) Caller() *bounded.Caller { return a.s.caller }

// Report tells the breaker of the node how the commands ended.
func (a *Ahead) Report(err error) { a.s.report(a.ctx, a.call, err) }

// Drop releases what the look-up may have acquired. replied says whether each command
// has its reply.
func (a *Ahead) Drop(replied bool) {
	if a.rd.token == "" {
		return
	}
	lease := a.guess.mayHold(a.rd.token)
	if replied {
		if say, err := a.say.Int64Slice(); err == nil && len(say) == 4 {
			if say[0] != 1 {
				return
			}
			lease.unsure = false
		}
	}
	a.s.Release(lease)
}

// Answer is [Store.Lookup] by the replies of a look-up that was prefetched. It reports
// false, and drops the look-up, if they do not answer the request: it is for another
// target or variant by now, there was a purge, or Redis refused a command. Then the
// caller calls Lookup.
func (s *Store) Answer(ctx context.Context, a *Ahead, p Place, h http.Header) (f Found, ok bool, err error) {
	if !a.fits(p, h) || !a.readable() {
		a.Drop(true)
		return Found{}, false, nil
	}
	f = a.guess
	if a.say != nil {
		say, err := a.say.Int64Slice()
		if err != nil {
			a.Drop(true)
			return Found{}, false, nil //nolint:nilerr // the caller asks again
		}
		s.checked(&f, a.rd.begun, say)
	}
	a.rd.h = h
	f, err = s.found(s.reads.Context(ctx), f, &a.rd)
	f = s.leased(f, err, a.guess.mayHold(a.rd.token))
	if err == nil && f.Fresh() {
		s.near.put(f, a.rd.begun, func() bool { return s.gen.Load() == a.gen })
	}
	return f, true, err
}

// fits reports whether the look-up is the one that the request would make now.
func (a *Ahead) fits(p Place, h http.Header) bool {
	return a.Asks(p, h) && a.gen == a.s.gen.Load() && !a.s.pending.has(p.Log)
}

// Asks reports whether the look-up is for this place and a request with the fields h.
func (a *Ahead) Asks(p Place, h http.Header) bool {
	return a.guess.Place == p && a.rd.class == ClassOf(h) && a.guess.Variant == a.s.set.Rules.Variant(a.guess.Names, h)
}

// readable reports whether Redis refused no command.
func (a *Ahead) readable() bool {
	for _, cmd := range a.cmds {
		if err := cmd.Err(); err != nil && err != redis.Nil { //nolint:errorlint // identity is go-redis' contract
			return false
		}
	}
	return true
}

// Late is what [Store.Lookup] returns when there is no reply in time.
func (s *Store) Late(p Place, h http.Header) (Found, error) {
	s.doubtAll()
	return s.notFound(p, s.memo.get(p.Hash), h), unavailable.Wrap(context.DeadlineExceeded)
}
