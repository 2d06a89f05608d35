package ratelimit

import (
	"crypto/rand"

	"github.com/redishttp/redishttp/internal/prefetch"
)

// mode is what decide.lua does with a request.
type mode string

const (
	charge mode = "charge" // decide, and charge if admitted
	force  mode = "force"  // charge after the fact and refuse nothing
	block  mode = "block"  // refuse everything for a time
)

// request is what is decided: limits, a key and a cost. It is created once for an
// HTTP request or a method call, and passed by value.
type request struct {
	set   *policies
	key   string
	cost  int64 // below 0 gives back; of a block its microseconds
	mode  mode
	place string // id of the place that is entered of a concurrency policy, "" for none
	count int    // how many such requests are decided together, 0 for one

	// Set by lookup, which searches the deny cache:
	at      int64 // time of the lookup, 0 before
	denyKey string
	refusal *refusal // nil if Redis must decide

	redisKeys []string // one for each policy; of an engine the key of its node

	batch *prefetch.Batch // what is read in the same round trip, nil for nothing
}

// enter returns the request with a place to enter, if there is a concurrency policy.
func (q request) enter() request {
	if q.set.concurrent >= 0 {
		q.place = rand.Text()
	}
	return q
}

// free reports whether there is nothing to count.
func (q request) free() bool { return len(q.set.all) == 0 || q.cost == 0 && q.place == "" }

// again returns the request for another attempt, with a place of its own: the first
// attempt may have entered its place although its reply was lost.
func (q request) again() request {
	q.at, q.refusal, q.batch = 0, nil, nil
	if q.place != "" {
		q.place = rand.Text()
	}
	return q
}

// costOf returns the cost for the scripts, within bounds that keep products exact:
// every cost above the burst is refused alike, and a bucket is never more than full.
func (q request) costOf(p *policy) int64 {
	if q.mode == block {
		return min(q.cost, exact/4)
	}
	burst := p.units.burst
	if p.kind == window {
		burst = int64(p.Rate)
	}
	if q.mode == force {
		return min(max(q.cost, -burst), burst)
	}
	return min(max(q.cost, -burst), burst+1)
}
