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

// limitKey reads the key of a rate limit.
func limitKey(key string) (owner, bool) {
	k, ok := ratelimit.ParseKey(key)
	return owner{Kind: limitKind, Page: "limits", Name: k.Policy, Hash: k.Client}, ok
}

// lockKey reads the key of a lock, or of what belongs to one.
func lockKey(key string) (owner, bool) {
	k, ok := lockmw.ParseKey(key)
	if !ok {
		return owner{}, false
	}
	kind := lockPart
	if k.Hash != "" && (k.Part == "" || k.Part == "m") {
		kind = lockKind
	}
	return owner{Kind: kind, Page: "locks", Name: k.Name, Hash: k.Hash}, true
}

// jobKey reads the key of a job, or of what belongs to one.
func jobKey(key string) (owner, bool) {
	k, ok := cronlock.ParseKey(key)
	o := owner{Kind: jobKind, Page: "cron", Name: k.Runner, Hash: k.Job}
	if k.Part != "" {
		o.Kind = jobPart
	}
	return o, ok
}

// requestKey reads the key of the record of a request that runs once.
func requestKey(key string) (owner, bool) {
	k, ok := idempotency.ParseKey(key)
	return owner{Kind: requestKind, Name: k.Keeper, Hash: k.Request}, ok
}

// cacheKey reads the key of a cached response, or of what else a cache keeps.
func cacheKey(key string) (owner, bool) {
	k, ok := cache.ParseKey(key)
	o := owner{Kind: cacheKind, Page: "cache", Name: k.Cache, Hash: k.Entry}
	if k.Entry == "" {
		o.Kind = cachePart
	}
	return o, ok
}

// sessionKey reads the key of a session.
func sessionKey(key string) (owner, bool) {
	k, ok := session.ParseKey(key)
	if !ok || k.Part != "" {
		return owner{}, false
	}
	return owner{Kind: sessionKind, Page: "sessions", Name: k.Name, Hash: k.Hash}, true
}

// userKey reads the key of the index of a user's sessions.
func userKey(key string) (owner, bool) {
	k, ok := session.ParseKey(key)
	if !ok || k.Part == "" || k.Part == "m" {
		return owner{}, false
	}
	return owner{Kind: userKind, Page: "sessions", Name: k.Name, Hash: k.Hash}, true
}
