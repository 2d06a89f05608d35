package admin

import (
	"strings"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

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
