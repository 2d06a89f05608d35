package session

import (
	"net/netip"
	"slices"
	"strings"
)

// maxAttribute is how long an attribute may be: browsers ignore a longer one
// (RFC 6265bis, 5.6), which for Path and Domain is another cookie.
const maxAttribute = 1024

// suffixes are well-known public suffixes, under which anyone may register:
// browsers refuse a cookie for one (RFC 6265bis, 5.7, step 9). The whole list
// (publicsuffix.org) changes weekly and is left to the browser.
var suffixes = [...]string{
	"ac.uk", "co.uk", "gov.uk", "org.uk", "com.au", "net.au", "org.au", "co.nz", "co.za", "co.in", "co.jp", "ne.jp", "or.jp", "co.kr", "com.ar", "com.br", "com.cn", "com.hk", "com.mx", "com.sg", "com.tr", "com.tw",
	"appspot.com", "azurewebsites.net", "cloudfront.net", "fly.dev", "github.io", "gitlab.io", "herokuapp.com", "netlify.app", "onrender.com", "pages.dev", "vercel.app", "web.app", "workers.dev",
}

// refusedDomain returns why browsers refuse a cookie with this Domain, "" if they
// accept it.
func refusedDomain(domain string) string {
	if domain == "" {
		return ""
	}
	name := strings.ToLower(strings.TrimPrefix(domain, ".")) // RFC 6265bis ignores the dot
	labels := strings.Split(name, ".")
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return "is an IP address: a cookie for one has no domain"
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return "is not a host name in ASCII (xn--… for others), without a scheme, a port, a wildcard or an underscore, with which net/http leaves the domain out"
		}
	}
	switch last := labels[len(labels)-1]; {
	case len(name) > 253:
		return "is longer than 253 bytes"
	case len(labels) == 1:
		return "has one label only: browsers refuse a cookie for a top-level domain"
	case strings.Trim(last, "0123456789") == "":
		return "ends with a number, as no domain does"
	case slices.Contains(suffixes[:], name):
		return "is a public suffix: browsers refuse a cookie for every site under it"
	}
	return ""
}

// refusedPath returns why browsers ignore this Path, "" if they accept it.
func refusedPath(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"):
		return "does not begin with /"
	case len(path) > maxAttribute:
		return "is longer than 1024 bytes"
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r >= 0x7f || r == ';' }):
		return "contains a semicolon, a control character or one that is not ASCII: percent-encode it"
	case strings.ContainsAny(path, "?#"):
		return "contains a query or a fragment, which no request's path has"
	}
	return ""
}
