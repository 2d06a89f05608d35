package session

import (
	"regexp"
	"strings"
)

// RedisKey holds the parts of the name of a key in Redis, see [ParseKey]. The
// grammar is in the package comment, under Keys.
type RedisKey struct {
	// Name is the name of the Manager, see [WithName].
	Name string
	// Hash is the hash of the token of a session; of a user's index, that of the
	// user; of a marker, the key of the session that was rotated.
	Hash string
	// Part is "" for a session. Of a user's index it is "s" for the sessions, "e"
	// for the epoch; "w" is written behind a deletion by [WithWaitReplicas]; "m" is
	// the marker that says where a rotation took a session.
	Part string
}

// The default prefixes of Redis keys, see [ParseKey]: of sessions, and of the
// indexes of users. In the second, [WithKeyPrefix] replaces the first. They are
// for operators' tools.
const (
	RedisKeyPrefix     = "session:v1:"
	RedisUserKeyPrefix = userPrefix + RedisKeyPrefix
)

// userPrefix stands before the prefix of sessions in the keys that belong to a
// user, so that a scan of sessions does not find them.
const userPrefix = "user:"

var (
	sessionKeyForm = regexp.MustCompile(`^` + RedisKeyPrefix + `([^{}]{1,100}):([A-Za-z0-9_-]{43})$`)
	userKeyForm    = regexp.MustCompile(`^` + RedisUserKeyPrefix + `([^{}]{1,100}):\{([^{}]+)\}:([sewm])$`)
)

// ParseKey parses the name of a key with the default prefix. It reports false
// for a key that no Manager writes, and for one of another [WithKeyPrefix]. It
// is for operators' tools, and asks no Redis.
func ParseKey(redisKey string) (key RedisKey, ok bool) {
	if m := sessionKeyForm.FindStringSubmatch(redisKey); m != nil {
		return RedisKey{Name: m[1], Hash: m[2]}, true
	}
	if m := userKeyForm.FindStringSubmatch(redisKey); m != nil {
		return RedisKey{Name: m[1], Hash: m[2], Part: m[3]}, true
	}
	return RedisKey{}, false
}

// IsEncoded reports whether a value of Redis begins as the default codec and
// [WithEncryption] write sessions. It decodes nothing. It is for operators'
// tools that must not show a session under a prefix that they do not know.
func IsEncoded(value string) bool {
	return strings.HasPrefix(value, magic) || strings.HasPrefix(value, sealed)
}
