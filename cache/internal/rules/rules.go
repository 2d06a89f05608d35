// Package rules decides what a shared cache may store and serve: RFC 9111 with
// targeted fields (RFC 9213), immutable (RFC 8246), stale-while-revalidate and
// stale-if-error (RFC 5861), cache groups (RFC 9875), ranges and conditions (RFC
// 9110). It is pure: it reads headers and the time that it is given, and touches
// neither Redis nor a connection. A response is described by [Response], what it says
// about caching by [Terms], what follows from that by [Verdict].
package rules

import "time"

// Rules are the settings that these decisions depend on. Field names are canonical.
type Rules struct {
	Targets    []string      // targeted fields, in order of preference (RFC 9213, section 2.2)
	Heuristic  bool          // estimate a lifetime from Last-Modified (RFC 9111, section 4.2.2)
	DefaultTTL time.Duration // of successful responses that say nothing; 0 for none
	MaxTTL     time.Duration // bounds how long a response is fresh, and how long it is served stale
	Retention  time.Duration // how long a stale response with a validator is kept to be validated
	Vary       []string      // fields that select as if every response named them
	VaryCookie bool          // responses that vary by Cookie are stored
	MaxBody    int64         // in bytes; a response with a larger Content-Length is not stored
}
