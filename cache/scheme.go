package cache

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/cache/internal/store"
	"github.com/redishttp/redishttp/internal/forwarded"
)

// WithTrustedProxies has the keys of requests from these networks carry the
// scheme that the proxy there names in field: X-Forwarded-Proto,
// X-Forwarded-Scheme, or Forwarded with its proto parameter (RFC 7239). Name
// the field that your proxy overwrites, so that no client can choose the scheme
// of its key; of several values the last one counts, which the proxy itself has
// added. Without the field, with a value other than http or https, and from any
// other peer the scheme is that of the connection.
//
// Use it where http and https of one host have different pages behind a proxy
// that ends TLS. A purge needs no such option: it concerns a URL with either
// scheme. For a peer without an address, as on a unix socket, use [WithScheme].
// No network, and one of every address such as 0.0.0.0/0, are mistakes. The
// default is none: https where this process itself speaks TLS, otherwise http.
func WithTrustedProxies(field string, networks ...netip.Prefix) Option {
	return optionFunc(func(c *config) {
		c.protoField, c.proxies, c.trusts = http.CanonicalHeaderKey(field), networks, true
	})
}

// WithScheme sets the function that returns which scheme a request's key has,
// "http" or "https"; with anything else it is that of the connection. It must
// not return what a client can choose. It takes precedence over
// [WithTrustedProxies]. The default, also for nil, is none. Use it where the
// proxy cannot be known by its address.
func WithScheme(scheme func(*http.Request) string) Option {
	return optionFunc(func(c *config) { c.scheme = scheme })
}

// schemeOf is the scheme that the key of a request has.
func (c *config) schemeOf(r *http.Request) string {
	said := ""
	switch {
	case c.scheme != nil:
		said = c.scheme(r)
	case len(c.proxies) > 0 && c.trusted(r.RemoteAddr):
		said = lastProto(c.protoField, r.Header[c.protoField])
	}
	switch said = strings.ToLower(said); {
	case said == "http" || said == "https":
		return said
	case r.TLS != nil:
		return "https"
	}
	return "http"
}

// trusted reports whether the peer is in one of the networks.
func (c *config) trusted(peer string) bool {
	at, err := netip.ParseAddrPort(peer)
	if err != nil {
		return false
	}
	addr := at.Addr().Unmap().WithZone("")
	for _, network := range c.proxies {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// lastProto returns the value of the last element of a field, which the peer
// has added. Of Forwarded it is read from the right, so that a quote that a
// client leaves open on the left does not change it.
func lastProto(field string, lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	if field != "Forwarded" {
		return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	}
	comma, ok := forwarded.LastComma(last)
	if !ok {
		return ""
	}
	proto, _ := forwarded.Param(last[comma+1:], "proto")
	return proto
}

// requestTarget returns the URL of a request as its key has it.
func (c *config) requestTarget(r *http.Request) string {
	return cachekey.Target(c.schemeOf(r), r.Host, cachekey.SentURL(r))
}

// placeOf returns where the response to a request is stored.
func (c *Cache) placeOf(r *http.Request) store.Place {
	extra := ""
	if c.varyBy != nil {
		extra = c.varyBy(r)
	}
	return c.store.Place(c.requestTarget(r), extra)
}
