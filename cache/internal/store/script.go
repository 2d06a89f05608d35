package store

import (
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// script is a Lua script. Its hash is what a server says: under FIPS 140-3 there
// is no SHA-1 in the process. It is asked for together with the first call, by the
// key of that, and not with SCRIPT LOAD, which a cluster client sends to all
// nodes, so that one that hangs, and be it a replica, would hold up each new process.
type script struct {
	source string
	hash   atomic.Pointer[string]
}

const hashSource = "return redis.sha1hex(ARGV[1])"

// scriptCall is one call of a script; all keys are in one slot.
type scriptCall struct {
	keys []string
	args []any
}

func unknownScript(cmd redis.Cmder) bool { return redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") }
