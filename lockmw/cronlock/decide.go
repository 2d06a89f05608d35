package cronlock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// answer is the reply of begin.lua.
type answer struct {
	code  int64
	fence uint64
	n     int64 // attempt, or milliseconds
}

// left is the rest of a lease or of a wait.
func (a answer) left() time.Duration { return time.Duration(a.n) * time.Millisecond }

// question is one call of Run, decided by one or more calls to Redis.
type question struct {
	owner   string
	tick    time.Time
	watched bool // a run elsewhere
}

// decide has Redis decide what becomes of the tick here. If the reply is lost,
// it sends the question once more: begin.lua begins once for one owner. If that
// fails too, the run is given up, because it may have begun. All of it takes at
// most two timeouts, and the lease counts from before the first.
func (j *Job) decide(ctx context.Context, q question) (answer, error) {
	until := time.Now().Add(2 * j.timeout)
	a, err := j.ask(ctx, q, j.timeout)
	if err == nil {
		return a, nil
	}
	if a, err = j.ask(ctx, q, min(j.timeout, time.Until(until)-j.timeout/2)); err != nil {
		_ = j.end(q.owner, "the answer was lost", 0, min(j.timeout, time.Until(until))) // or its lease ends
	}
	return a, err
}

// ask sends the question once.
func (j *Job) ask(ctx context.Context, q question, within time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	defer context.AfterFunc(j.r.base, cancel)() // Close does not wait for a Redis that is away
	at := int64(0)
	if !q.tick.IsZero() {
		at = q.tick.UnixMilli()
	}
	keys := []string{j.key}
	if j.takeover {
		keys = append(keys, j.key+":w") // the fewer keys, the less a cluster refuses while their slot moves
	}
	v, err := j.r.caller.Run(ctx, j.r.begin, keys, q.owner, ms(j.ttl), ms(j.retention), at, ms(j.minGap), ms(j.maxAhead), ms(j.maxLate), flag(j.takeover), j.host, flag(q.watched)).Slice()
	if err != nil {
		return answer{}, err
	}
	if len(v) != 3 {
		return answer{}, fmt.Errorf("reply of %d values, want 3", len(v))
	}
	code, ok1 := v[0].(int64)
	text, ok2 := v[1].(string)
	n, ok3 := v[2].(int64)
	fence, err := strconv.ParseUint(text, 10, 64)
	if !ok1 || !ok2 || !ok3 || err != nil {
		return answer{}, errors.New("reply is not of numbers")
	}
	return answer{code, fence, n}, nil
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}
