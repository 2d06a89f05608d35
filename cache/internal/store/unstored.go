package store

import (
	"context"
	"time"
)

// largeFor is how long a body that was too large is taken to be so.
const largeFor = 10 * time.Minute

// MarkHitForMiss releases the lease of f and counts, for all instances and for d, that the
// response to a request of this class was not stored, in one round trip. It reports
// whether that has happened twice in a row: then requests of the class need not wait for
// each other. A single response that is not stored may be an exception. While Redis is
// away the process counts for itself.
func (s *Store) MarkHitForMiss(ctx context.Context, f *Found, of Class, d time.Duration) bool {
	if !f.Reachable() { // for this process
		seen := 1
		s.memo.change(f.Hash, func(k known) known {
			if k.unstoredOf == of && time.Now().Before(k.unstoredUntil) {
				seen += k.unstored
			}
			k.unstoredUntil, k.unstoredOf, k.unstored = time.Now().Add(d), of, seen
			return k
		})
		return seen > 1
	}
	return s.endAndMark(ctx, f, f.hitForMissKey(f.Variant, of), d) != 1
}

// MarkLarge releases the lease of f and notes, for all instances and ten minutes, that the
// body was too large to be stored.
func (s *Store) MarkLarge(ctx context.Context, f *Found) {
	if f.Reachable() {
		s.endAndMark(ctx, f, f.largeKey(f.Variant), largeFor)
	}
}

// endAndMark returns how often the mark was set, 0 if Redis cannot be reached.
func (s *Store) endAndMark(ctx context.Context, f *Found, mark string, d time.Duration) int64 {
	lease := f.Detach()
	call, ok := s.nodes.Allow(f.Log)
	if !ok {
		s.Release(lease)
		return 0
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.ReadTimeout)
	defer cancel()
	say, err := s.caller.Ints(bound, s.endScript, []string{lease.Key, mark}, lease.Token, 0, d.Milliseconds())
	s.report(ctx, call, err)
	if err != nil || len(say) != 2 {
		lease.unsure = true
		s.Release(lease)
		return 0
	}
	return say[1]
}
