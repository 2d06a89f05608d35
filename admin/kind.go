package admin

import (
	"strings"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/lockmw/idempotency"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// The kinds of keys that this module writes, see docs/redis-keys.md.
const (
	limitKind   = "rate limit"
	sessionKind = "session"
	userKind    = "index of a user's sessions"
	cacheKind   = "cached response"
	cachePart   = "part of the cache"
	lockKind    = "lock"
	lockPart    = "part of a lock"
	jobKind     = "job"
	jobPart     = "part of a job"
	requestKind = "request that runs once"
)

// owner says which package wrote a key, and what for.
type owner struct {
	Kind   string
	Page   string // of the panel, "" if it has none
	Source string // prefix of all keys of its kind and application
	Name   string // of the policy, cache or lock
	Hash   string // of the client, session, lock or job; "" if the key is not of one
}

// grammars read the names of keys. Each knows one package's keys under that
// package's default prefix, reports false for all others, and leaves
// owner.Source to [Panel.ownerOf]. The grammar itself belongs to the package.
var grammars = []struct {
	prefix string
	parse  func(key string) (owner, bool)
}{
	{ratelimit.RedisKeyPrefix, limitKey},
	{lockmw.RedisKeyPrefix, lockKey},
	{cronlock.RedisKeyPrefix, jobKey},
	{idempotency.RedisKeyPrefix, requestKey},
	{cache.RedisKeyPrefix, cacheKey},
	{session.RedisKeyPrefix, sessionKey},
	{session.RedisUserKeyPrefix, userKey},
}

// custom maps the prefixes that the registered middlewares use to the default ones
// that they replace.
func (p *Panel) custom() map[string]string {
	all := map[string]string{}
	// Keys are <prefix>:<version>:<name>:…, with the version of the default prefix.
	note := func(key, standard string) {
		version := standard[strings.IndexByte(standard, ':'):]
		if first, _, ok := strings.Cut(key, version); ok {
			all[first+version] = standard
		}
	}
	for _, o := range p.limiters {
		for _, key := range o.it.Keys("") {
			note(key, ratelimit.RedisKeyPrefix)
		}
	}
	for _, o := range p.lockers {
		note(o.it.RedisKey(""), lockmw.RedisKeyPrefix)
	}
	for _, o := range p.caches {
		note(o.it.KeyPrefix(), cache.RedisKeyPrefix)
	}
	for _, o := range p.jobs {
		note(o.it.Key(), cronlock.RedisKeyPrefix)
	}
	return all
}

// ownerOf says whose key this is, by its name alone. It knows the default prefixes
// and those of registered middlewares.
func (p *Panel) ownerOf(key string) (owner, bool) {
	for own, standard := range p.prefixes {
		rest, ok := strings.CutPrefix(key, own)
		if !ok {
			continue
		}
		if o, ok := standardOwner(standard + rest); ok {
			o.Source = own
			return o, true
		}
	}
	for _, s := range p.sessions {
		own, _ := s.it.KeyPrefixes()
		if hash, ok := strings.CutPrefix(key, own); ok {
			return owner{sessionKind, "sessions", own, s.label, hash}, true
		}
		index := strings.Replace(session.RedisUserKeyPrefix, session.RedisKeyPrefix, own, 1)
		if rest, ok := strings.CutPrefix(key, index); ok {
			return owner{userKind, "sessions", index, s.label, rest}, true
		}
	}
	return standardOwner(key)
}

// standardOwner reads the name of a key under a default prefix.
func standardOwner(key string) (owner, bool) {
	for _, g := range grammars {
		if !strings.HasPrefix(key, g.prefix) {
			continue
		}
		o, ok := g.parse(key)
		o.Source = g.prefix
		return o, ok
	}
	return owner{}, false
}

// sources returns the prefixes that stand for a default prefix, that one first.
func (p *Panel) sources(standard string) []string {
	all := []string{standard}
	for own, s := range p.prefixes {
		if s == standard && own != standard {
			all = append(all, own)
		}
	}
	if standard == session.RedisKeyPrefix {
		for _, o := range p.sessions {
			if own, _ := o.it.KeyPrefixes(); !strings.HasPrefix(own, standard) {
				all = append(all, own)
			}
		}
	}
	return all
}

// escapeGlob returns a glob that matches the text itself.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}
