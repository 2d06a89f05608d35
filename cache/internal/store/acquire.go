package store

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/redis/go-redis/v9"
)

// Claim gives the caller a lease that a look-up of this process acquired: the one with
// this token, or any for the key if token is "". It returns the token, "" if there is none
// or too little of its TTL is left.
func (s *Store) Claim(key, token string) string { return s.leases.claim(key, token) }

// ReleaseUnused releases the lease of f, unless a request has claimed it.
func (s *Store) ReleaseUnused(f *Found) {
	if f.Lease == "" {
		return
	}
	key := f.LeaseKey(f.Variant)
	if s.leases.claim(key, f.Lease) != "" {
		s.Release(Lease{Key: key, Token: f.Lease})
	}
}

// AcquireRefresh acquires the lease to refresh what was found. It reports false if
// another instance has it, or Redis is away. The caller releases it.
func (s *Store) AcquireRefresh(ctx context.Context, f *Found) (Lease, bool) {
	bound, cancel := context.WithTimeout(ctx, s.set.WriteTimeout)
	defer cancel()
	l := Lease{Key: f.refreshKey(f.Variant), Token: rand.Text()}
	var held *redis.StringCmd
	err := s.pipeline(bound, func(p redis.Pipeliner) {
		p.SetNX(bound, l.Key, l.Token, s.set.RefreshTimeout+time.Second)
		held = p.Get(bound, l.Key)
	})
	if err != nil {
		l.unsure = true
		s.Release(l)
		return l, false
	}
	return l, held.Val() == l.Token
}
