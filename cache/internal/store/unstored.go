package store

import (
	"context"
	"time"
)

// largeFor is how long a body that was too large is taken to be so.
const largeFor = 10 * time.Minute

// MarkHitForMiss ends a lease and notes, for all instances, that the response to a request of
// this class is not stored. It reports whether that was seen twice running, so that
// requests of the class need not wait for each other: one odd answer says nothing.
func (s *Store) MarkHitForMiss(ctx context.Context, f *Found, of Class, d time.Duration) bool {
	if f.Inc == "" { // without Redis, for this process
		seen := 1
		s.memo.change(f.Hash, func(k *known) {
			if k.unstoredOf == of && time.Now().Before(k.unstoredUntil) {
				seen += k.unstored
			}
			k.unstoredUntil, k.unstoredOf, k.unstored = time.Now().Add(d), of, seen
		})
		return seen > 1
	}
	return s.endAndMark(ctx, f, f.hitForMissKey(f.Variant, of), d) != 1
}

// MarkLarge ends a lease and notes that the body was too large to be stored.
func (s *Store) MarkLarge(ctx context.Context, f *Found) {
	if f.Inc != "" {
		s.endAndMark(ctx, f, f.largeKey(f.Variant), largeFor)
	}
}

// endAndMark returns how often the mark was set, 0 if Redis does not tell.
func (s *Store) endAndMark(ctx context.Context, f *Found, mark string, d time.Duration) int64 {
	lease := Lease{Key: f.LeaseKey(f.Variant), Token: f.Lease}
	f.Lease = ""
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
