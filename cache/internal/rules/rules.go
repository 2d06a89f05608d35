package rules

import "time"

// Rules are the settings that these decisions depend on.
type Rules struct {
	Targets    []string      // targeted fields, in order of preference (RFC 9213)
	Heuristic  bool          // guess a lifetime from Last-Modified
	DefaultTTL time.Duration // of successful responses that say nothing; 0 for none
	MaxTTL     time.Duration // bounds how long a response is fresh, and how long it is served stale
	Retention  time.Duration // how long a stale response is kept to be validated
	Vary       []string      // fields that select as if every response named them
	VaryCookie bool          // responses that vary by Cookie are stored
	MaxBody    int64         // in bytes
}
