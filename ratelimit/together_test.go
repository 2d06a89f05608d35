package ratelimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// twin is one limiter whose policies are fields of one key, and one that has a key for
// each policy, with the same clock.
type twin struct {
	forms [2]*Limiter
	now   time.Time
	held  [][2]place // of both
}

func newTwin(t testing.TB, rdb redis.UniversalClient, limits []Limit) *twin {
	w := &twin{now: time.UnixMicro(1_790_812_800_123_456)}
	for i := range w.forms {
		w.forms[i] = w.limiter(t, rdb, limits, i)
	}
	return w
}

func (w *twin) limiter(t testing.TB, rdb redis.UniversalClient, limits []Limit, form int) *Limiter {
	t.Helper()
	l, err := New(rdb, Limit{}, WithLimits(limits...), WithClock(func() time.Time { return w.now }), WithTimeout(time.Minute),
		WithKeyPrefix(redistest.Prefix(t)+strconv.Itoa(form)))
	if err != nil {
		t.Fatal(err)
	}
	l.static.together = form == 1
	return l
}

// both has both decide, and fails if they do not reply the same.
func (w *twin) both(t testing.TB, what string, q request) Decision {
	t.Helper()
	var got [2]Decision
	for i, l := range w.forms {
		q.set, q.key = l.static, "client"
		q.redisKeys = l.keysOf(q.set, q.key)
		d, err := l.scripts.run(context.Background(), q)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		d.set = nil
		for s := range d.more {
			d.more[s].policy = nil
		}
		d.policy = nil
		got[i] = d
	}
	if !reflect.DeepEqual(got[0], got[1]) {
		t.Fatalf("%s at %d:\n a key for each policy: %+v\n one key:               %+v", what, w.now.UnixMicro(), got[0], got[1])
	}
	return got[0]
}

// release ends the place of a request in both.
func (w *twin) release(t testing.TB, at [2]place) {
	t.Helper()
	var there [2]bool
	var errs [2]error
	for i, l := range w.forms {
		there[i], errs[i] = l.scripts.releasePlace(context.Background(), at[i])
	}
	if there[0] != there[1] || errors.Join(errs[:]...) != nil {
		t.Fatalf("a place was there: %v, %v", there, errs)
	}
}

// renew renews the place of a request in both.
func (w *twin) renew(t testing.TB, at [2]place) {
	t.Helper()
	for i, l := range w.forms {
		if err := l.scripts.renewPlace(context.Background(), at[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// change replaces the limits of both by others of the same names, as a deployment does.
func (w *twin) change(t testing.TB, rdb redis.UniversalClient, limits []Limit) {
	t.Helper()
	for i := range w.forms {
		next := w.limiter(t, rdb, limits, i)
		next.prefix = w.forms[i].prefix
		w.forms[i] = next
	}
}

// In one key several policies decide exactly as they do with a key for each: charges,
// refunds, blocks, places, resets, changed limits and a clock that steps back.
func TestOneKeyDecidesAsAKeyForEach(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	rounds, steps := 60, 150
	if redistest.IsLong() {
		rounds = 2000
	}
	for round := range rounds {
		seed := rand.Uint64()
		if !t.Run(strconv.Itoa(round), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			t.Logf("seed %d", seed)
			compareForms(t, rdb, random, steps)
		}) {
			return
		}
	}
}

// scale makes the limits so slow that no key expires while a round runs: keys expire by
// Redis' clock, and the shared one later than those of single policies.
const scale = 50

func someLimits(random *rand.Rand, kinds []kind) []Limit {
	var limits []Limit
	for i, k := range kinds {
		n, period := 1+random.IntN(12), scale*time.Duration(1000+random.IntN(20_000))*time.Millisecond
		l := per(n, period)
		switch k {
		case bucket:
			l.Burst = 1 + random.IntN(12)
		case window:
			l = Window(n, period)
		case concurrency:
			l = Concurrency(1 + random.IntN(5))
		}
		limits = append(limits, l.Named("p"+strconv.Itoa(i)))
	}
	return limits
}

func compareForms(t *testing.T, rdb redis.UniversalClient, random *rand.Rand, steps int) {
	var kinds []kind
	for range 1 + random.IntN(3) {
		kinds = append(kinds, kind(random.IntN(2)))
	}
	if random.IntN(2) == 0 {
		kinds[random.IntN(len(kinds))] = concurrency
	}
	w := newTwin(t, rdb, someLimits(random, kinds))
	for range steps {
		switch random.IntN(40) {
		case 0:
			w.now = w.now.Add(-scale * time.Duration(random.Int64N(int64(time.Minute))))
		case 1:
			w.now = w.now.Add(scale * time.Duration(random.Int64N(int64(time.Minute))))
		case 2:
			w.change(t, rdb, someLimits(random, kinds))
		case 3:
			w.both(t, "block", request{mode: block, cost: scale * (1 + random.Int64N(20_000_000))})
		case 4:
			for _, l := range w.forms {
				if err := l.Reset(t.Context(), "client"); err != nil {
					t.Fatal(err)
				}
			}
		default:
			w.now = w.now.Add(scale * time.Duration(random.Int64N(int64(2*time.Second))))
		}
		w.now = w.now.Truncate(time.Microsecond)
		switch op := random.IntN(10); {
		case op == 0:
			w.both(t, "peek", request{mode: charge})
		case op == 1:
			w.both(t, "refund", request{mode: charge, cost: -random.Int64N(20)})
		case op == 2:
			w.both(t, "force", request{mode: force, cost: random.Int64N(30) - 10})
		case op < 5 && len(w.held) > 0:
			i := random.IntN(len(w.held))
			if op == 3 {
				w.renew(t, w.held[i])
				continue
			}
			w.release(t, w.held[i])
			w.held = append(w.held[:i], w.held[i+1:]...)
		default:
			q := request{mode: charge, cost: random.Int64N(5)}
			if w.forms[0].static.concurrent >= 0 {
				q.place = strconv.FormatUint(random.Uint64(), 36)
			}
			if w.forms[0].static.single() != nil {
				q.count = random.IntN(5) // a batch
			}
			d := w.both(t, "charge", q)
			if d.Allowed && q.place != "" {
				var at [2]place
				for i, l := range w.forms {
					q.set, q.key = l.static, "client"
					at[i] = l.placeOf(q)
				}
				w.held = append(w.held, at)
			}
		}
	}
	if n := rdb.Exists(t.Context(), w.forms[1].keysOf(w.forms[1].static, "client")...).Val(); n > 0 {
		if ttl := rdb.PTTL(t.Context(), w.forms[1].keysOf(w.forms[1].static, "client")[0]).Val(); ttl <= 0 {
			t.Errorf("the key lives for %v", ttl)
		}
	}
}
