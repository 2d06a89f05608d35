package ratelimit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/redishttp/redishttp/clientip"
)

// mode is what decide.lua does with a request.
type mode string

const (
	take  mode = "take"  // decide and charge
	force mode = "force" // charge what has happened already, and refuse nothing
	block mode = "block" // refuse everything for a time
)

// request is what is decided: it is made once and handed on by value.
type request struct {
	set   *policies
	key   string
	cost  int64 // below 0 gives back; of a block its microseconds
	mode  mode
	place string // id of the place that is entered of a concurrency policy, "" for none
	count int    // how many such requests are decided together, 0 for one

	// By lookup, in the deny cache:
	at      int64 // when that was, 0 before
	denyKey string
	refusal *refusal // nil if Redis must decide

	redisKeys []string // those of an engine begin with its own prefix
}

// requestOf finds out what an HTTP request is counted against.
func (l *Limiter) requestOf(r *http.Request) (request, error) {
	key, err := l.keyOf(r)
	if err != nil {
		return request{}, err
	}
	q := request{set: l.static, key: key, cost: 1, mode: take}
	if l.cost != nil {
		if q.cost, err = l.costOf(r); err != nil {
			return request{}, err
		}
	}
	if l.limitsFunc != nil {
		limits := l.limitsFunc(r)
		if len(l.limits) > 0 {
			limits = slices.Concat(limits, l.limits)
		}
		if q.set, err = l.sets.of(limits, l.localShare); err != nil {
			return request{}, err
		}
	}
	return q.enter(), nil
}

// enter has the request enter a concurrency policy, if there is one.
func (q request) enter() request {
	if q.set.concurrent >= 0 {
		q.place = rand.Text()
	}
	return q
}

// free reports whether there is nothing to count.
func (q request) free() bool { return len(q.set.all) == 0 || q.cost == 0 && q.place == "" }

// again is the same request once more: what became of the place that was
// entered before may not be known.
func (q request) again() request {
	q.at, q.refusal = 0, nil
	if q.place != "" {
		q.place = rand.Text()
	}
	return q
}

// costOf is the cost as the scripts take it, which keeps products exact: what is
// above the burst is refused all the same, and more than full is full.
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

// keyOf calls the user's functions, the fallback for want of a key.
func (l *Limiter) keyOf(r *http.Request) (string, error) {
	key, err := l.key(r)
	if (err != nil || key == "") && l.fallback != nil {
		key, err = l.fallback(r)
	}
	if err == nil && key == "" {
		err = errors.New("the key is empty")
	}
	if err != nil {
		return "", fmt.Errorf("ratelimit: key: %w", err)
	}
	if key == sharedKey && !clientip.Peer(r).IsValid() && l.noAddress.Open(time.Minute) {
		l.logger.LogAttrs(r.Context(), slog.LevelWarn, "requests without a client address share one key: is a unix socket not trusted?", slog.String("peer", r.RemoteAddr))
	}
	return key, nil
}

// costOf calls the user's function, which must neither panic nor give back.
func (l *Limiter) costOf(r *http.Request) (cost int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("ratelimit: cost: panic: %v", p)
		}
	}()
	n := l.cost(r)
	if n < 0 {
		return 0, fmt.Errorf("ratelimit: cost: %d is below 0", n)
	}
	return int64(n), nil
}

// keysOf hash what a client controls, so that its length, its braces and its
// bytes mean nothing. The tag is the client: policies share a slot.
func (l *Limiter) keysOf(set *policies, key string) []string {
	sum := sha256.Sum256([]byte(key))
	var tag [34]byte
	tag[0], tag[33] = '{', '}'
	hex.Encode(tag[1:33], sum[:16])
	keys := make([]string, len(set.all))
	for i := range set.all {
		keys[i] = l.prefix + ":v1:" + set.all[i].Name + ":" + string(tag[:])
	}
	return keys
}
