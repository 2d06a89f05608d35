package cache

import (
	"slices"
	"time"

	"github.com/redishttp/redishttp/internal/setting"
)

// WithMaxVariants limits the stored variants of one URL: those that Vary,
// [WithVary], [WithVaryBy] and fields like X-Forwarded-Host tell apart, with
// either scheme. Beyond it the oldest is deleted; [Stats].Evicted counts them.
// Clients choose such values, so without a limit one client could fill the
// store. The default is 100; it must be within 1 and 1000. Raise it if a URL
// has more tenants or languages than that; all instances should agree.
func WithMaxVariants(n int) Option { return optionFunc(func(c *config) { c.settings.MaxVariants = n }) }

// WithWaitReplicas makes purges, and the invalidation after an unsafe request,
// wait until n replicas of each master concerned have it, for at most timeout.
// If fewer have it by then, they return [ErrUnconfirmed], or pass it to
// Hooks.Failed. The default is not to wait; n below 1 and less than 1ms are
// mistakes. It costs one more round trip for each master. Use it where the
// caller must know, or where INFO is not allowed: otherwise a purge that a
// failover loses has no effect either, as the new master's purge log begins
// again and everything before it is a miss.
func WithWaitReplicas(n int, timeout time.Duration) Option {
	return optionFunc(func(c *config) { c.settings.Replicas.N, c.settings.Replicas.Patience, c.waits = n, timeout, true })
}

// checkStore checks the options of this file, and those of the scheme.
func (c *config) checkStore(check *setting.Check) {
	check.That(c.settings.MaxVariants >= 1 && c.settings.MaxVariants <= 1000, "WithMaxVariants", "%d is not within 1 and 1000", c.settings.MaxVariants)
	check.That(!c.waits || c.settings.Replicas.N > 0 && c.settings.Replicas.Patience >= time.Millisecond, "WithWaitReplicas", "needs a replica and a millisecond at least")
	fields := []string{"X-Forwarded-Proto", "X-Forwarded-Scheme", "Forwarded"}
	check.That(!c.trusts || slices.Contains(fields, c.protoField), "WithTrustedProxies", "the field is not X-Forwarded-Proto, X-Forwarded-Scheme or Forwarded")
	check.That(!c.trusts || len(c.proxies) > 0, "WithTrustedProxies", "names no network")
	for _, network := range c.proxies {
		check.That(network.IsValid(), "WithTrustedProxies", "has a network that is not valid")
		check.That(!network.IsValid() || network.Bits() > 0, "WithTrustedProxies", "has a network of every address: then clients choose the scheme of their keys")
	}
}
