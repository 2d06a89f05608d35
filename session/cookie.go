package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/textproto"
	"strings"
	"time"
)

const (
	tokenLength = 43 // base64url of 32 random bytes
	maxTokens   = 4  // cookies of our name that are tried
)

// tokens appends to found the values of our cookie that can be tokens; others cost
// nothing. Of usual requests it reads the field itself, as net/http does, because it
// runs for each and twice for most.
func (m *Manager) tokens(found []string, r *http.Request) []string {
	if lines := r.Header["Cookie"]; len(lines) == 1 && strings.Count(lines[0], ";") < 100 {
		for part := range strings.SplitSeq(lines[0], ";") {
			name, value, _ := strings.Cut(textproto.TrimString(part), "=")
			if textproto.TrimString(name) == m.cookie.Name {
				found = appendToken(found, unquoted(value))
			}
		}
		return found
	}
	for _, c := range r.CookiesNamed(m.cookie.Name) {
		found = appendToken(found, c.Value)
	}
	return found
}

func appendToken(found []string, token string) []string {
	if wellFormed(token) && len(found) < maxTokens {
		found = append(found, token)
	}
	return found
}

// unquoted returns a cookie's value without its quotes.
func unquoted(value string) string {
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}

// wellFormed reports whether a cookie's value can be a token: 43 characters of
// base64url. Anything else is no session and costs no command.
func wellFormed(token string) bool {
	if len(token) != tokenLength {
		return false
	}
	for i := range len(token) {
		c := token[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// setCookie hands the token out.
func (m *Manager) setCookie(ctx context.Context, h http.Header, token string) {
	c := m.cookie
	c.Value = token
	if m.persist || m.GetBool(ctx, rememberKey) {
		deadline := m.Deadline(ctx)
		c.Expires = time.Unix(deadline.Unix()+1, 0)
		c.MaxAge = int(time.Until(deadline).Seconds()) + 1
	}
	m.writeCookie(h, &c)
}

// staleCookie reports whether the client's cookie is to end at another time than
// when the session was last read or written.
func (st *state) staleCookie(ctx context.Context) bool {
	st.mu.Lock()
	base := st.base
	st.mu.Unlock()
	if base == nil {
		return false
	}
	m := st.m
	was, err := m.codec.glance(base.bytes)
	if err != nil {
		return false
	}
	before, now := m.persist || was.remembered, m.persist || m.GetBool(ctx, rememberKey)
	return before != now || now && !was.deadline.Equal(m.Deadline(ctx))
}

// removeCookie has the same path and domain, or the browser keeps the cookie.
func (m *Manager) removeCookie(h http.Header) {
	c := m.cookie
	c.Expires, c.MaxAge = time.Unix(1, 0), -1
	m.writeCookie(h, &c)
}

// writeCookie replaces what the header has of our name, and keeps caches from
// a response that carries it.
func (m *Manager) writeCookie(h http.Header, c *http.Cookie) {
	var others []string
	for _, line := range h["Set-Cookie"] {
		if !strings.HasPrefix(line, m.cookie.Name+"=") {
			others = append(others, line)
		}
	}
	h["Set-Cookie"] = append(others, c.String())
	noStore(h)
}

// noStore keeps caches from a response, unless the handler has done so already.
func noStore(h http.Header) {
	control := strings.ToLower(strings.Join(h.Values("Cache-Control"), ","))
	for directive := range strings.SplitSeq(control, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if name == "no-store" || name == "private" && value == "" {
			return
		}
	}
	h.Set("Cache-Control", "no-store")
}

// varyByCookie adds Vary: Cookie, once.
func varyByCookie(h http.Header) {
	for _, line := range h.Values("Vary") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); strings.EqualFold(name, "Cookie") || name == "*" {
				return
			}
		}
	}
	h.Add("Vary", "Cookie")
}

// RequestKey names the session of a request for other middlewares, for example
// a lock that serializes the requests of a session: it is the hash of the token
// that the cookie has, whether a session has it or not, and "" without a cookie
// that can be a token. It costs no command, works outside of the Handler, and
// is safe to log. It changes with Login and RenewToken, because the token does.
func (m *Manager) RequestKey(r *http.Request) string {
	if tokens := m.tokens(nil, r); len(tokens) > 0 {
		return hashOf(tokens[0])
	}
	return ""
}

// hashOf returns the hash of a token, which is all that Redis keys have of it.
func hashOf(token string) string {
	var in [tokenLength]byte // on the stack: this runs for most requests
	var out [tokenLength]byte
	sum := sha256.Sum256(append(in[:0], token...))
	base64.RawURLEncoding.Encode(out[:], sum[:])
	return string(out[:])
}
