package ratelimit

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/respw"
)

type ctxKey struct{}

// passage is a request on its way through a limiter.
type passage struct {
	limiter  *Limiter
	question question
	decision Decision
	outer    *passage // of a limiter further out
	later    atomic.Int64
}

func outer(r *http.Request) *passage {
	p, _ := r.Context().Value(ctxKey{}).(*passage)
	return p
}

// passed reports whether the request is already inside this limiter.
func (l *Limiter) passed(r *http.Request) bool {
	for p := outer(r); p != nil; p = p.outer {
		if p.limiter == l {
			return true
		}
	}
	return false
}

// ChargeLater charges n more for the request when its handler has returned:
// bytes that were sent, tokens that a model used. It refuses nothing and empties
// the bucket at most; the client notices with its next request. It reports
// false outside of l's Handler.
func (l *Limiter) ChargeLater(r *http.Request, n int64) bool {
	for p := outer(r); p != nil; p = p.outer {
		if p.limiter == l {
			p.later.Add(n)
			return true
		}
	}
	return false
}

// serve calls the handler and settles afterwards, also after a panic.
func (l *Limiter) serve(w http.ResponseWriter, r *http.Request, next http.Handler, p *passage) {
	r = r.WithContext(context.WithValue(r.Context(), ctxKey{}, p))
	status := func() int { return http.StatusOK }
	if l.refund != nil { // only then, for a wrapper is never free
		b, rw := respw.Wrap(w, respw.Hooks{})
		status = func() int {
			if s := b.Status(); s != 0 {
				return s
			}
			return http.StatusOK // what net/http answers in the handler's stead
		}
		w = rw
	}
	if p.question.hold != "" && p.decision.Allowed {
		defer l.hold(r.Context(), p)()
	}
	panicked := true
	defer func() {
		s := http.StatusInternalServerError
		if !panicked {
			s = status()
		}
		l.settle(r, p, s)
	}()
	next.ServeHTTP(w, r)
	panicked = false
}

// settle gives back and charges what is known only now, in one call.
func (l *Limiter) settle(r *http.Request, p *passage, status int) {
	net := p.later.Load()
	if l.refund != nil && p.decision.Allowed {
		net -= min(max(l.refund(status, r), 0), p.question.cost)
	}
	if net == 0 {
		return
	}
	q := p.question
	q.cost, q.hold, q.mode = net, "", force
	if p.decision.Source == FromLocal { // charged here, given back here
		l.local.take(q.set, q.key, net, l.now(), false)
		return
	}
	_, _ = l.observed(context.WithoutCancel(r.Context()), q) // the hook has the error
}

// SkipSuccessful refunds requests that were answered below 400, so that only
// failures count: attempts to log in.
func SkipSuccessful(status int, _ *http.Request) int64 {
	if status < http.StatusBadRequest {
		return maxRefund
	}
	return 0
}

// SkipFailed refunds requests that were answered 400 or above, so that only
// what was delivered counts.
func SkipFailed(status int, _ *http.Request) int64 {
	if status >= http.StatusBadRequest {
		return maxRefund
	}
	return 0
}

// maxRefund is cut to what was charged.
const maxRefund = 1 << 53

// Enter is AllowN with a place of a [Concurrency] policy. leave must be called,
// once, when d.Allowed; it gives the place back and never fails, for a place that
// Redis does not hear of ends by itself.
func (l *Limiter) Enter(ctx context.Context, key string, n int) (d Decision, leave func(), err error) {
	if len(l.static.all) == 0 {
		return Decision{}, func() {}, errNoLimits
	}
	q := question{set: l.static, key: key, cost: int64(n), mode: take}
	if q.set.concurrent >= 0 {
		q.hold = rand.Text()
	}
	d, err = l.observed(ctx, q)
	if !d.Allowed || q.hold == "" {
		return d, func() {}, err
	}
	return d, l.hold(ctx, &passage{limiter: l, question: q, decision: d}), err
}

// hold renews a place until the returned function gives it back.
func (l *Limiter) hold(ctx context.Context, p *passage) (leave func()) {
	ctx = context.WithoutCancel(ctx)
	policy := &p.question.set.all[p.question.set.concurrent]
	if p.decision.Source != FromRedis {
		return func() {
			if p.decision.Source == FromLocal {
				l.local.leave(policy, p.question.key)
			}
		}
	}
	key := l.redisKeys(p.question.set, p.question.key)[p.question.set.concurrent]
	r := &renewing{}
	r.timer = time.AfterFunc(lease/3, func() {
		bound, cancel := context.WithTimeout(ctx, l.timeout)
		_, _ = l.redis.Ints(bound, l.renewal, []string{key}, l.clockArg(), lease.Microseconds(), p.question.hold)
		cancel()
		r.again()
	})
	return func() {
		r.stop()
		bound, cancel := context.WithTimeout(ctx, l.timeout)
		defer cancel()
		_ = l.redis.Process(bound, redis.NewIntCmd(bound, "zrem", key, p.question.hold))
	}
}

// renewing is a timer that is started again and again until it is stopped.
type renewing struct {
	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

func (r *renewing) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.timer.Reset(lease / 3)
	}
}

func (r *renewing) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.timer.Stop()
}
