package lockmw

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// Key is what the name of a key in Redis says.
type Key struct {
	// Name is the name of the Locker, see [WithName].
	Name string
	// Hash is the hash of what is locked, in hexadecimal. It is "" for a key that
	// belongs to the Locker rather than to one lock.
	Hash string
	// Part says which part of a lock the key holds: "" for the lock itself, "m" for
	// the state of a lock that several may hold; "q", "qp" and "p" for its queue,
	// their polls and its holders; "boot" for the state of a master of [NewRedlock].
	Part string
}

// RedisKeyPrefix is what Redis keys with the default prefix begin with, see
// [ParseKey]. It is for operators' tools.
const RedisKeyPrefix = "lockmw:v1:"

var redisKeyForm = regexp.MustCompile(`^` + RedisKeyPrefix + `([^{}]{1,100}):(?:\{([0-9a-f]{32})\}(?::(m|qp|q|p))?|(boot))$`)

// ParseKey reads the name of a key in Redis with the default prefix, for
// operators. It reports false for keys of others.
func ParseKey(redisKey string) (Key, bool) {
	m := redisKeyForm.FindStringSubmatch(redisKey)
	if m == nil {
		return Key{}, false
	}
	return Key{Name: m[1], Hash: m[2], Part: m[3] + m[4]}, true
}

// RedisKey returns the key in Redis of the lock of key, for [Inspect] and
// [Locker.ForceRelease]: <prefix>:v1:<name>:{<hash>}.
func (l *Locker) RedisKey(key string) string { return l.keys(key)[0] }

// keys returns the keys of a lock, its queue and its polls, which are prefixes of
// one string. What a client may have chosen is hashed.
func (l *Locker) keys(key string) []string {
	sum := sha256.Sum256([]byte(key))
	b := make([]byte, 0, 128)
	b = append(b, l.base...)
	b = append(b, '{')
	b = hex.AppendEncode(b, sum[:16])
	return keysWith(string(append(b, "}:qp"...)))
}

// keysWith returns the keys of the lock whose polls are at polls.
func keysWith(polls string) []string {
	return []string{polls[:len(polls)-len(":qp")], polls[:len(polls)-len("p")], polls}
}

// sharedKeys returns the holders, the queue, its polls and the state of a lock
// that several may hold.
func sharedKeys(keys []string) []string {
	return []string{keys[0] + ":p", keys[1], keys[2], keys[0] + ":m"}
}

var hashTag = regexp.MustCompile(`^\{[0-9a-f]{32}\}$`)

// ownKeys returns the keys of the lock that redisKey belongs to, if it is one of
// this Locker's locks, or the state of one.
func (l *Locker) ownKeys(redisKey string) ([]string, bool) {
	lock := strings.TrimSuffix(redisKey, ":m")
	tag, ok := strings.CutPrefix(lock, l.base)
	if !ok || !hashTag.MatchString(tag) {
		return nil, false
	}
	return keysWith(lock + ":qp"), true
}

// bootKey says until when a master of [NewRedlock] abstains.
func (l *Locker) bootKey() string { return l.base + "boot" }

// wakeChannel is the channel on which this instance is woken.
func (l *Locker) wakeChannel() string { return l.base + "wake:" + l.instance }
