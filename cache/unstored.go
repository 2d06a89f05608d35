package cache

import (
	"context"
	"time"
)

// markOpen ends a lease and notes, for all instances, that the response to a request of
// this class is not stored. It reports whether that was seen twice running, so that
// requests of the class need not wait for each other: one odd answer says nothing.
func (s *Store) markHitForMiss(ctx context.Context, f *found, of class, d time.Duration) bool {
	if f.inc == "" { // without Redis, for this process
		seen := 1
		s.memo.change(f.hash, func(k *known) {
			if k.unstoredOf == of && time.Now().Before(k.unstoredUntil) {
				seen += k.unstored
			}
			k.unstoredUntil, k.unstoredOf, k.unstored = time.Now().Add(d), of, seen
		})
		return seen > 1
	}
	return s.endAndMark(ctx, f, f.hitForMissKey(f.variant, of), d) != 1
}

// markLarge ends a lease and notes that the body was too large to be stored.
func (s *Store) markLarge(ctx context.Context, f *found) {
	if f.inc != "" {
		s.endAndMark(ctx, f, f.largeKey(f.variant), largeFor)
	}
}

// endAndMark returns how often the mark was set, 0 if Redis does not tell.
func (s *Store) endAndMark(ctx context.Context, f *found, mark string, d time.Duration) int64 {
	lease := returned{key: f.leaseKey(f.variant), token: f.lease}
	f.lease = ""
	call, ok := s.nodes.Allow(f.log)
	if !ok {
		s.release(lease)
		return 0
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.ReadTimeout)
	defer cancel()
	say, err := s.run(bound, &s.endScript, []string{lease.key, mark}, lease.token, 0, d.Milliseconds())
	s.report(ctx, call, err)
	if err != nil || len(say) != 2 {
		lease.unsure = true
		s.release(lease)
		return 0
	}
	return say[1]
}
