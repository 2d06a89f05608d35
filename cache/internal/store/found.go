package store

import (
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// Found is what a look-up brings. It is shared by the requests that asked
// together and not changed.
type Found struct {
	Place
	Names   []string // headers that select among variants
	Variant string
	Inc     string // of the log: what is stored later must carry them,
	Seq     int64  // for a purge in between must win
	Entry   *Entry // nil if there is none that counts; it may be stale
	Elapsed time.Duration
	Soft    bool   // purged softly: stale, whatever it says
	Lease   string // that this look-up took, "" for none
	// hitForMiss says that nothing is stored for requests of this class, so they
	// need not wait for each other.
	HitForMiss bool
	Large      bool // the body was too large to be stored
	// hitForMissLeft is what is left of the mark that says so.
	HitForMissLeft time.Duration
	Reason         rules.ForwardReason // for which it is no hit
}

// Age is by Redis' clock alone: what is left of the life it was stored for.
func (f *Found) Age() time.Duration { return f.Entry.Age + f.Elapsed }

// Left is the freshness that is left, negative for a stale entry.
func (f *Found) Left() time.Duration {
	left := f.Entry.Fresh - f.Elapsed
	if f.Soft {
		return min(left, -time.Millisecond)
	}
	return left
}

// Reachable reports whether Redis told what it has: without that nothing can be
// stored.
func (f *Found) Reachable() bool { return f.Inc != "" }

// Detach returns the lease of the look-up, which f has no longer.
func (f *Found) Detach() Lease {
	l := Lease{Key: f.LeaseKey(f.Variant), Token: f.Lease}
	f.Lease = ""
	return l
}

// Fresh reports whether there is an entry that is not stale.
func (f *Found) Fresh() bool { return f.Entry != nil && f.Left() > 0 }
