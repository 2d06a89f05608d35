package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"strings"

	"github.com/redishttp/redishttp/lockmw"
)

// ScopeFunc names the user that a request belongs to, as the application knows
// the user: an account's id, not a name the client has chosen. Users do not get
// each other's responses, whatever keys they send. It runs before the handler,
// so put authentication outside. An empty scope or an error gets 500: never one
// scope for all. It may read the body, which the handler gets again.
type ScopeFunc func(*http.Request) (string, error)

// DangerouslyUnscoped is a [ScopeFunc] for services that have no users, or one:
// a client that sends the same key and request as another one gets its
// response.
func DangerouslyUnscoped(*http.Request) (string, error) { return "\x00unscoped", nil }

// payload is the default [FingerprintFunc]. It has the form too, which an outer
// middleware may have read already.
func payload(r *http.Request, body []byte) []byte {
	return append([]byte(lockmw.Join(r.URL.RawQuery, r.Header.Get("Content-Type"), r.PostForm.Encode())), body...)
}

// operation is what a request asks for. The host is not part of it: a client may
// retry under another name of the same service.
func (k *Keeper) operation(r *http.Request, scope, key string, body []byte) Operation {
	op := Operation{Scope: scope, Name: lockmw.Join(r.Method, spelledOneWay(r.URL.EscapedPath())), Key: key}
	payload := k.fingerprint(r, body)
	sum := sha256.New()
	_, _ = sum.Write(binary.AppendUvarint(nil, uint64(len(op.Name))))
	_, _ = io.WriteString(sum, op.Name)
	_, _ = sum.Write(payload)
	copy(op.Fingerprint[:], sum.Sum(nil))
	return op
}

// spelledOneWay returns an escaped path with one spelling for each resource: a
// retry of /orders/%31 is one of /orders/1 (RFC 3986, 6.2.2). Only what needs no escape is
// unescaped, so that %2F stays another thing than a slash.
func spelledOneWay(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		code, err := hex.DecodeString(path[i+1 : i+3])
		switch {
		case err != nil:
			b.WriteByte('%')
			continue
		case unreserved(code[0]):
			b.WriteByte(code[0])
		default:
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

// unreserved reports whether a character never needs an escape (RFC 3986,
// section 2.3).
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
