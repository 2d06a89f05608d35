package admin

import "strings"

// scsPrefix is that of scs' redisstore, in whose keys the tokens themselves
// stand.
const scsPrefix = "scs:session:"

// tokens are the prefixes of keys that end with a token.
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

// mask takes the token out of a key's name, if it has one.
func (p *Panel) mask(key string) string {
	for _, prefix := range p.tokens() {
		if strings.HasPrefix(key, prefix) {
			return prefix + masked
		}
	}
	return key
}

// hides says why the value of a key is not shown, "" if it is.
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
		return "This is a request of a user and what was answered to it. It is not shown."
	}
	return ""
}

const sessionHidden = "This is a session. What it holds is not shown."

// isSession reports whether the name is that of a session, of this module or
// of scs.
func (p *Panel) isSession(key string) bool {
	if strings.HasPrefix(key, "session:v1:") || p.mask(key) != key {
		return true
	}
	for _, o := range p.sessions {
		if own, _ := o.it.KeyPrefixes(); strings.HasPrefix(key, own) {
			return true
		}
	}
	return false
}

// looksLikeSession goes by the first bytes, for prefixes that the panel does not
// know: those of session.Codec, and of encrypted values.
func looksLikeSession(value string) bool {
	return strings.HasPrefix(value, "\x00\x01") || strings.HasPrefix(value, "\x00\x02")
}
