package lockmw

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// fencesPerGrant is how many fences are reserved with each grant: one for the
// owner in Redis, the others for handoffs within its process. grammar.lua says
// the same.
const fencesPerGrant = 16

// retention is how long a lock outlives its lease, as in grammar.lua.
const retention = 10 * time.Minute

// Kinds of a lock's string, see grammar.lua.
const (
	kindHeld     = "h"
	kindGrace    = "g"
	kindReserved = "r"
	kindFree     = "f"
)

var (
	lockForm  = regexp.MustCompile(`^([hgrf])([^|]{0,200})\|(\d{1,16})\|(\d{1,16})\|(\d{1,20})\|`)
	stateForm = regexp.MustCompile(`^(\d{1,16})\|\d{1,16}\|(\d{1,20})\|(\d{1,16})\|([^|]{0,200})$`)
)

// lockValue is the string of a lock that one owner holds.
type lockValue struct {
	kind   string
	owner  string
	expiry int64  // ms since 1970
	fence  uint64 // the last one that is reserved
}

func parseLock(s string) (lockValue, bool) {
	m := lockForm.FindStringSubmatch(s)
	if m == nil {
		return lockValue{}, false
	}
	v := lockValue{kind: m[1], owner: m[2], expiry: number(m[3])}
	if first, err := strconv.ParseUint(m[5], 10, 64); err == nil && first > 0 {
		v.fence = first + fencesPerGrant - 1
	}
	return v, true
}

// heldValue is the string of a lock without waiters, as the scripts write it when they
// grant or renew it.
func heldValue(h holding, lease time.Duration) string {
	b := make([]byte, 0, 128)
	b = append(b, kindHeld...)
	b = append(b, h.owner...)
	for _, n := range []int64{h.written.at + lease.Milliseconds(), lease.Milliseconds(), int64(h.fence)} {
		b = strconv.AppendInt(append(b, '|'), n, 10)
	}
	return string(append(b, "|0"...))
}

// freeValue is the string of a lock that is free and has no waiters.
func freeValue(fence uint64) string {
	return kindFree + "|0|0|" + strconv.FormatUint(fence, 10) + "|0"
}

// stateValue is the state of a lock that several owners may hold.
type stateValue struct {
	permits int    // 0 is any number of readers
	fence   uint64 // the last one
	grace   int64  // ms since 1970
	writer  string // the owner of the whole
}

func parseState(s string) (stateValue, bool) {
	m := stateForm.FindStringSubmatch(s)
	if m == nil {
		return stateValue{}, false
	}
	fence, err := strconv.ParseUint(m[2], 10, 64)
	return stateValue{permits: int(number(m[1])), fence: fence, grace: number(m[3]), writer: m[4]}, err == nil
}

// number reads digits that a pattern has bounded to 16.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// parseWake reads a message of a wake-up channel.
func parseWake(message string) (what, owner string) {
	what, owner, _ = strings.Cut(message, "|")
	return what, owner
}

// millis is the unit of times in Redis.
func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
