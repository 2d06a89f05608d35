package admin

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/lockmw"
)

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
	lapsed   = "lapsed"   // its holder never released it
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

// of returns row with what lockmw says of the lock at started. Ends of leases are
// by the clock of the server, which may not be ours.
func (row lockRow) of(i lockmw.Info, started time.Time) lockRow {
	row.State, row.Mode, row.Grace = stateOf(i), modeOf(i), i.Grace
	row.Fence, row.Waiters, row.Count = strconv.FormatUint(i.Fence, 10), int64(i.Waiters), int64(i.Holders)
	if i.Left > 0 {
		row.Until = started.Add(i.Left)
	}
	for _, o := range slices.SortedFunc(maps.Keys(i.Leases), func(a, b string) int {
		return cmp.Or(cmp.Compare(i.Leases[a], i.Leases[b]), cmp.Compare(a, b))
	}) {
		row.Until = started.Add(i.Leases[o])
		row.Holders = append(row.Holders, holder{Owner: o, Until: row.Until})
	}
	return row
}

func stateOf(i lockmw.Info) string {
	switch {
	case i.Held:
		return held
	case i.Reserved:
		return reserved
	case i.Lapsed:
		return lapsed
	}
	return free
}

func modeOf(i lockmw.Info) string {
	switch {
	case !i.Shared:
		return ""
	case i.Permits > 0:
		return strconv.Itoa(i.Holders) + " of " + strconv.Itoa(i.Permits) + " permits"
	case i.Writer:
		return "a writer"
	case i.Held:
		return "readers"
	}
	return "readers and writers"
}
