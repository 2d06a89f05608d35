// Package lease is the arithmetic of leases that are held in Redis.
package lease

import "time"

// Left is for how long a lease of ttl is certainly held at now, when the call
// that granted or renewed it was sent at since: with a drift of 1 % and 2 ms. The
// larger of wall-clock and monotonic time counts, for the latter stands still while a
// machine is suspended.
func Left(ttl time.Duration, since, now time.Time) time.Duration {
	elapsed := max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
	return ttl - ttl/100 - 2*time.Millisecond - elapsed
}

// Margin is how long before it ends a lease that cannot be renewed is given up,
// so that its holder has stopped when the next begins: a tenth of ttl, at least 50 ms.
func Margin(ttl time.Duration) time.Duration { return max(ttl/10, 50*time.Millisecond) }
