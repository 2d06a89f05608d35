package admin

import (
	"strings"

	"github.com/redishttp/redishttp/session"
)

// scsPrefix is the prefix of scs' redisstore, whose keys contain the tokens
// themselves.
const scsPrefix = "scs:session:"

// tokens returns the prefixes of keys that end with a token.
func (p *Panel) tokens() []string {
	all := []string{scsPrefix}
	for _, o := range p.sessions {
		if _, legacy := o.it.KeyPrefixes(); legacy != "" {
			all = append(all, legacy)
		}
	}
	return all
}

const masked = "(token not shown)"

// mask replaces the token in a key's name, if there is one.
func (p *Panel) mask(key string) string {
	for _, prefix := range p.tokens() {
		if strings.HasPrefix(key, prefix) {
			return prefix + masked
		}
	}
	return key
}

// hides says why the value of a key is not shown, or returns "" if it is.
func (p *Panel) hides(key string) string {
	for _, prefix := range p.hidden {
		if strings.HasPrefix(key, prefix) {
			return "The application hides the values of keys that begin with " + prefix + "."
		}
	}
	if p.sessionValues {
		return ""
	}
	if p.isSession(key) {
		return sessionHidden
	}
	if o, ok := p.ownerOf(key); ok && o.Kind == requestKind {
		return "This is the request of a user and its response. It is not shown."
	}
	return ""
}

const sessionHidden = "This is a session. What it holds is not shown."

// isSession reports whether a key is that of a session, of this module or of scs.
func (p *Panel) isSession(key string) bool {
	if strings.HasPrefix(key, session.RedisKeyPrefix) || p.mask(key) != key {
		return true
	}
	for _, o := range p.sessions {
		if own, _ := o.it.KeyPrefixes(); strings.HasPrefix(key, own) {
			return true
		}
	}
	return false
}
