package admin

import (
	_ "embed" // for the script
	"regexp"
	"strconv"
	"time"
)

//go:embed lock.lua
var lockSource string

// lockRow is the state of a lock.
type lockRow struct {
	Key, Link string
	Name      string
	Hash      string
	State     string
	Mode      string   // of a lock that several may hold
	Holders   []holder // of many the first
	Count     int64    // of holders
	Until     time.Time
	Fence     string
	Waiters   int64
	Grace     bool // the clock may have been set
}

// States of a lock.
const (
	held     = "held"
	reserved = "reserved" // for a waiter that was woken
	lapsed   = "lapsed"   // its holder never let go
	free     = "free"
)

// holder is one of those that have a lock, and renews its lease.
type holder struct {
	Owner   string
	Until   time.Time
	Confirm string // link that takes the lock from it, "" if that cannot be
}

// Holder is the first one.
func (row lockRow) Holder() holder {
	if len(row.Holders) == 0 {
		return holder{}
	}
	return row.Holders[0]
}

// Others are the holders behind the first.
func (row lockRow) Others() int64 { return max(row.Count-1, 0) }

var (
	// lockForm is <kind><owner>|<expiry, ms>|<lease, ms>|<first of 16 fences>|<queue>, see acquire.lua.
	lockForm = regexp.MustCompile(`^([hgrf])([^|]{0,200})\|(\d{1,16})\|(\d{1,16})\|(\d{1,20})\|`)
	// sharedForm is <permits>|<longest lease, ms>|<fence>|<grace, ms>|<owner of the whole>, see share.lua.
	sharedForm = regexp.MustCompile(`^(\d{1,16})\|\d{1,16}\|(\d{1,20})\|(\d{1,16})\|([^|]{0,200})$`)
)

// decode reads the reply of lock.lua; it reports false if there is no lock.
// Ends of leases are by the clock of the server, which may not be ours.
func (row *lockRow) decode(reply []any, shared bool, started time.Time) bool {
	if len(reply) < 5 {
		return false
	}
	now, ok := reply[0].(int64)
	plain, ok1 := reply[1].(string)
	state, ok2 := reply[2].(string)
	waiters, ok3 := reply[3].(int64)
	count, ok4 := reply[4].(int64)
	if !ok || !ok1 || !ok2 || !ok3 || !ok4 {
		return false
	}
	row.Waiters = waiters
	at := func(text string) (time.Time, bool) {
		ms, err := strconv.ParseInt(text, 10, 64)
		return started.Add(time.Duration(ms-now) * time.Millisecond), err == nil && ms > now
	}
	if !shared {
		m := lockForm.FindStringSubmatch(plain)
		if m != nil {
			row.one(m, at)
		}
		return m != nil
	}
	m := sharedForm.FindStringSubmatch(state)
	if m == nil {
		return false
	}
	row.Fence, row.Count = m[2], count
	_, row.Grace = at(m[3])
	for rest := reply[5:]; len(rest) >= 2; rest = rest[2:] {
		owner, _ := rest[0].(string)
		end, _ := rest[1].(string)
		until, _ := at(end)
		row.Holders, row.Until = append(row.Holders, holder{Owner: owner, Until: until}), until
	}
	switch whole := m[4]; {
	case m[1] != "0":
		row.Mode = strconv.FormatInt(count, 10) + " of " + m[1] + " permits"
	case count > 0 && whole != "" && row.Holder().Owner == whole:
		row.Mode = "a writer"
	case count > 0:
		row.Mode = "readers"
	default:
		row.Mode = "readers and writers"
	}
	if count > 0 {
		row.State = held
	}
	return true
}

// one fills in a lock that only one can hold.
func (row *lockRow) one(m []string, at func(string) (time.Time, bool)) {
	row.Fence = m[5]
	if first, err := strconv.ParseUint(m[5], 10, 64); err == nil && first > 0 {
		row.Fence = strconv.FormatUint(first+15, 10)
	}
	until, live := at(m[3])
	switch {
	case m[1] == "f" || m[1] == "r" && !live:
	case m[1] == "r":
		row.State, row.Until = reserved, until
	case live:
		row.State, row.Until, row.Count, row.Grace = held, until, 1, m[1] == "g"
		row.Holders = []holder{{Owner: m[2], Until: until}}
	default:
		row.State = lapsed
	}
}

var (
	lockKeyForm  = regexp.MustCompile(`^lockmw:v1:([^{}]{1,100}):\{([0-9a-f]{32})\}(?::m)?$`)
	lockPartForm = regexp.MustCompile(`^lockmw:v1:([^{}]{1,100}):(?:\{([0-9a-f]{32})\}:(?:q|qp|p)|boot)$`)
)

// lockKey reads the key of a lock, or of what belongs to one.
func lockKey(key string) (owner, bool) {
	if m := lockKeyForm.FindStringSubmatch(key); m != nil {
		return owner{Kind: lockKind, Page: "locks", Name: m[1], Hash: m[2]}, true
	}
	if m := lockPartForm.FindStringSubmatch(key); m != nil {
		return owner{Kind: lockPart, Page: "locks", Name: m[1], Hash: m[2]}, true
	}
	return owner{}, false
}
