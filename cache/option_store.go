package cache

import (
	"fmt"
	"slices"
	"time"
)

// WithMaxVariants bounds the variants of one URL that are stored: those that
// Vary, [WithVary], fields like X-Forwarded-Host and [WithKey] tell apart, with
// either scheme. Beyond it the one that was stored first is deleted, with all of
// its body; [Stats].Evicted counts them. Clients choose such values, so without a
// bound one client could fill the store. Raise it if a URL has more tenants or
// languages than that. It is within 1 and 1000; all instances should agree. The default is 100.
func WithMaxVariants(n int) Option { return optionFunc(func(c *config) { c.maxVariants = n }) }

// WithWaitReplicas has Purge, SoftPurge, PurgeTags, SoftPurgeTags and PurgeAll, and
// the invalidation after an unsafe request, wait until n replicas of each master
// concerned have it, for at most timeout. If fewer have it by then, they return
// [ErrUnconfirmed], or tell it to Hooks.Failed. Without it a purge that a
// failover loses is still never undone: the new master's purge log begins again
// and everything before it is a miss. Use it where INFO is not allowed, or to know. It
// costs one more round trip for each master. The default is 0, not to wait.
func WithWaitReplicas(n int, timeout time.Duration) Option {
	return optionFunc(func(c *config) { c.waitReplicas, c.waitTimeout, c.waits = n, timeout, true })
}

func (c *config) checkStore(check func(ok bool, option, reason string)) {
	check(c.maxVariants >= 1 && c.maxVariants <= 1000, "WithMaxVariants", fmt.Sprintf("%d is not within 1 and 1000", c.maxVariants))
	check(!c.waits || c.waitReplicas > 0 && c.waitTimeout >= time.Millisecond, "WithWaitReplicas", "needs a replica and a millisecond at least")
	fields := []string{"X-Forwarded-Proto", "X-Forwarded-Scheme", "Forwarded"}
	check(!c.trusts || slices.Contains(fields, c.protoField), "WithTrustedProxies", "the field is not X-Forwarded-Proto, X-Forwarded-Scheme or Forwarded")
	check(!c.trusts || len(c.proxies) > 0, "WithTrustedProxies", "names no network")
	for _, network := range c.proxies {
		check(network.IsValid(), "WithTrustedProxies", "has a network that is not valid")
		check(!network.IsValid() || network.Bits() > 0, "WithTrustedProxies", "has a network of every address: then clients choose the scheme of their keys")
	}
}
