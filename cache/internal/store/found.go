package store

import (
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// Found is the result of a look-up: the entry, if there is one that counts, and what a
// later fill must carry. The requests that shared the look-up have copies of it, with
// one Entry that must not be changed.
type Found struct {
	Place
	Names   []string // selecting fields of the target, and its languages
	Variant string   // secondary key of the request, by Names
	// Inc and Seq are the incarnation and the sequence number of the purge log. An
	// entry that is stored after this look-up carries them, so that a purge in between
	// has a higher number. Inc is "" if Redis was not reached.
	Inc     string
	Seq     int64
	Entry   *Entry        // nil for a miss; it may be stale
	Elapsed time.Duration // since the entry was stored, by the clock of Redis
	Soft    bool          // purged softly: stale, whatever its lifetime
	Lease   string        // token of the lease that this look-up acquired, "" for none
	// HitForMiss reports that responses to requests of this class are not stored, so
	// requests need not wait for each other.
	HitForMiss     bool
	Large          bool                // the last body was too large to be stored
	HitForMissLeft time.Duration       // TTL of the hit-for-miss mark
	Reason         rules.ForwardReason // why it is a miss
}

// Age is the age of the entry (RFC 9111, section 4.2.3): its age when it was stored and
// the time since, by the clock of Redis alone. The clocks of the instances may differ.
func (f *Found) Age() time.Duration { return f.Entry.Age + f.Elapsed }

// Left is the remaining freshness, negative for a stale entry or one that was purged
// softly.
func (f *Found) Left() time.Duration {
	left := f.Entry.Fresh - f.Elapsed
	if f.Soft {
		return min(left, -time.Millisecond)
	}
	return left
}

// Reachable reports whether the look-up reached Redis. Without it nothing can be stored,
// because a purge since then could not be detected.
func (f *Found) Reachable() bool { return f.Inc != "" }

// Detach moves the lease of the look-up to the caller, who must release it.
func (f *Found) Detach() Lease {
	l := Lease{Key: f.LeaseKey(f.Variant), Token: f.Lease}
	f.Lease = ""
	return l
}

// mayHold is the lease that a look-up with this token, "" for none, may have acquired.
func (f *Found) mayHold(token string) Lease {
	if token == "" {
		return Lease{}
	}
	return Lease{Key: f.LeaseKey(f.Variant), Token: token, unsure: true}
}

// Fresh reports whether there is an entry and it is fresh.
func (f *Found) Fresh() bool { return f.Entry != nil && f.Left() > 0 }
