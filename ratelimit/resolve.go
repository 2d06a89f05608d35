package ratelimit

import (
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

// requestOf returns what is decided for an HTTP request: its key, its cost and its
// limits. An error is a mistake in one of the functions that the options set.
func (l *Limiter) requestOf(r *http.Request) (request, error) {
	key, err := l.keyOf(r)
	if err != nil {
		return request{}, err
	}
	q := request{set: l.static, key: key, cost: 1, mode: charge}
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

// keyOf calls the functions of WithKey until one returns a key.
func (l *Limiter) keyOf(r *http.Request) (key string, err error) {
	for _, find := range l.keys {
		if key, err = find(r); err == nil && key != "" {
			break
		}
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

// costOf calls the function of WithCost. A panic and a negative cost are errors.
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

// keysOf returns the Redis keys of a client: one if the limiter has several policies,
// so that no call has keys on both sides of a slot that moves, else one for each
// policy. The client's own key is hashed, because it may have any length, braces and
// bytes. The hash tag is the client, so that its policies share a slot.
func (l *Limiter) keysOf(set *policies, key string) []string {
	sum := sha256.Sum256([]byte(key))
	var tag [34]byte
	tag[0], tag[33] = '{', '}'
	hex.Encode(tag[1:33], sum[:16])
	if set.together {
		return []string{l.prefix + ":v1:" + string(tag[:])}
	}
	keys := make([]string, len(set.all))
	for i := range set.all {
		keys[i] = l.prefix + ":v1:" + set.all[i].Name + ":" + string(tag[:])
	}
	return keys
}

// denyKey returns the key of a client in the deny cache. Sets of [WithLimitsFunc]
// have their own refusals.
func (l *Limiter) denyKey(set *policies, key string) string {
	if set == l.static {
		return key
	}
	return set.id + "\x00" + key
}

// lookup searches the deny cache for a refusal that still holds. It is called once
// for each attempt of a request, because a lookup may change what the next one finds.
func (l *Limiter) lookup(q request) request {
	q.at, q.denyKey = l.nanos(), l.denyKey(q.set, q.key)
	if l.denied != nil && q.cost > 0 && q.mode == charge {
		q.refusal = l.denied.find(q.denyKey, q.cost, q.at)
	}
	return q
}
