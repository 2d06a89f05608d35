package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/http"

	"github.com/redishttp/redishttp/lockmw"
)

// ScopeFunc names the user that a request belongs to, as the application knows
// him: an account's id, not a name the client has chosen. Users do not see each
// other's responses, whatever keys they send. It runs before the handler, so
// who asks must be known by then: put authentication further out. An empty
// scope or an error is answered 500: never one scope for all.
type ScopeFunc func(*http.Request) (string, error)

// DangerouslyUnscoped is a [ScopeFunc] for services that have no users, or one:
// whoever sends the same key and the same request gets the response that was
// kept for another.
func DangerouslyUnscoped(*http.Request) (string, error) { return "\x00unscoped", nil }

// payload is the default [FingerprintFunc]. A middleware further out may have
// read a form already.
func payload(r *http.Request, body []byte) []byte {
	return append([]byte(lockmw.Join(r.URL.RawQuery, r.Header.Get("Content-Type"), r.PostForm.Encode())), body...)
}

// operation is what a request asks for. The host is not part of it: a client may
// retry under another name of the same service.
func (k *Keeper) operation(r *http.Request, scope, key string, body []byte) Operation {
	op := Operation{Scope: scope, Name: lockmw.Join(r.Method, r.URL.EscapedPath()), Key: key}
	print := k.fingerprint(r, body)
	sum := sha256.New()
	_, _ = sum.Write(binary.AppendUvarint(nil, uint64(len(op.Name))))
	_, _ = io.WriteString(sum, op.Name)
	_, _ = sum.Write(print)
	copy(op.Fingerprint[:], sum.Sum(nil))
	return op
}
