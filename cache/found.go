package cache

import (
	"time"
)

// found is what a look-up brings. It is shared by the requests that asked
// together and not changed.
type found struct {
	place
	names   []string // headers that select among variants
	variant string
	inc     string // of the log: what is stored later must carry them,
	seq     int64  // for a purge in between must win
	entry   *entry // nil if there is none that counts; it may be stale
	elapsed time.Duration
	soft    bool   // purged softly: stale, whatever it says
	lease   string // that this look-up took, "" for none
	// hitForMiss says that nothing is stored for requests of this class, so they
	// need not wait for each other.
	hitForMiss bool
	large      bool // the body was too large to be stored
	// hitForMissLeft is what is left of the mark that says so.
	hitForMissLeft time.Duration
	reason         forwardReason // for which it is no hit
}

// age is by Redis' clock alone: what is left of the life it was stored for.
func (f *found) age() time.Duration { return f.entry.age + f.elapsed }

// left is the freshness that is left, negative for a stale entry.
func (f *found) left() time.Duration {
	left := f.entry.Fresh - f.elapsed
	if f.soft {
		return min(left, -time.Millisecond)
	}
	return left
}

// reachable reports whether Redis told what it has: without that nothing can be
// stored.
func (f *found) reachable() bool { return f.inc != "" }

// detach returns the lease of the look-up, which f has no longer.
func (f *found) detach() returned {
	l := returned{key: f.leaseKey(f.variant), token: f.lease}
	f.lease = ""
	return l
}

// fresh reports whether there is an entry that is not stale.
func (f *found) fresh() bool { return f.entry != nil && f.left() > 0 }
