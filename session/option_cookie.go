package session

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/redishttp/redishttp/internal/setting"
)

// Cookie describes the session cookie, for [WithCookie]. Each zero field keeps
// the default, and the defaults are the safe ones: __Host-session, Secure,
// HttpOnly, SameSite=Lax, for this host and all its paths, until the browser is
// closed. HttpOnly cannot be turned off: no script needs the token.
type Cookie struct {
	// Name is "__Host-session" by default, or "session" with Insecure. Give
	// each of several Managers on one host its own. Browsers accept the prefix
	// __Host- only from the host itself, over TLS and without a Domain, so no
	// subdomain can plant the cookie (RFC 6265bis, section 4.1.3).
	Name string
	// Domain sends the cookie to the subdomains of a domain as well; the name
	// must then not begin with __Host-. The default is this host only. What
	// browsers refuse is an error: an IP address, a single label, a well-known
	// public suffix, a name with an underscore (which net/http leaves out).
	Domain string
	// Path is "/" by default. It begins with / and is percent-encoded, without a
	// semicolon or a control character. It separates no applications from one
	// another: scripts of one path can read the pages of another.
	Path string
	// SameSite is Lax by default: POST forms and frames of other sites do not
	// send the cookie, their links do. Strict leaves it out of these links too.
	// http.SameSiteDefaultMode sends no attribute. None is for pages embedded
	// in other sites, and needs Secure.
	SameSite http.SameSite
	// Partitioned keeps a separate cookie for each embedding site (CHIPS). It
	// needs SameSite None.
	Partitioned bool
	// Persist keeps the cookie of every session when the browser is closed, until
	// the session's deadline. The session still ends after [WithIdleTimeout]; to
	// keep an unused one until its deadline, use [Manager.RememberMe].
	Persist bool
	// Insecure sends the cookie over plain HTTP as well, for development on a
	// machine without TLS.
	Insecure bool
}

// WithCookie sets the session cookie. The zero value of each field keeps the
// default, see [Cookie]; a second WithCookie replaces the first as a whole. Use
// it to share sessions between subdomains, for several Managers on one host, or
// for development without TLS.
func WithCookie(cookie Cookie) Option {
	return optionFunc(func(c *config) { c.cookieOptions = cookie })
}

// settleCookie derives the cookie from its options and reports what browsers
// refuse (RFC 6265bis, 4.1.3 and 5.7). They do so silently, and every visitor
// would be left without a session.
func (c *config) settleCookie(check *setting.Check) {
	o := c.cookieOptions
	if o.Name == "" {
		o.Name = "__Host-session"
		if o.Insecure {
			o.Name = "session"
		}
	}
	if o.Path == "" {
		o.Path = "/"
	}
	if o.SameSite == 0 {
		o.SameSite = http.SameSiteLaxMode
	}
	c.persist = o.Persist
	c.cookie = http.Cookie{Name: o.Name, Domain: o.Domain, Path: o.Path, SameSite: o.SameSite, Partitioned: o.Partitioned, Secure: !o.Insecure, HttpOnly: true}

	const option = "WithCookie"
	name := strings.ToLower(o.Name)
	host := strings.HasPrefix(name, "__host-")
	secure := host || strings.HasPrefix(name, "__secure-") || strings.HasPrefix(name, "__http-")
	domain, path := refusedDomain(o.Domain), refusedPath(o.Path)
	check.That(cookieName.MatchString(o.Name), option, "Name: is not a cookie name (RFC 6265)")
	check.That(!host || o.Domain == "", option, "Domain: a __Host- cookie has no domain")
	check.That(domain == "", option, "Domain: %q %s", o.Domain, domain)
	check.That(!host || o.Path == "/", option, "Path: a __Host- cookie has the path /")
	check.That(path == "", option, "Path: %q %s", o.Path, path)
	check.That(!o.Insecure || !secure, option, "Insecure: a __Host-, __Secure- or __Http- cookie is secure; give it another name")
	check.That(validSameSite(o.SameSite), option, "SameSite: %d is none of Lax, Strict, None and Default", o.SameSite)
	check.That(!o.Insecure || o.SameSite != http.SameSiteNoneMode, option, "SameSite: None needs a secure cookie")
	check.That(!o.Partitioned || !o.Insecure && o.SameSite == http.SameSiteNoneMode, option, "Partitioned: needs a secure cookie with SameSite None")
}

var cookieName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$")

// validSameSite reports whether mode is one that net/http knows.
func validSameSite(mode http.SameSite) bool {
	return mode >= http.SameSiteDefaultMode && mode <= http.SameSiteNoneMode
}
