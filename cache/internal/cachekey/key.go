// Package cachekey makes the primary key of a request (RFC 9111, section 2), and the
// hash by which a URL is purged.
package cachekey

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
)

// Target returns the primary key of a URL as the client wrote it, see [SentURL]: the
// parts scheme, host, path and query, joined. The host is folded to lower case and loses
// the default port of its scheme, and an empty path is "/" (RFC 9110, section 4.2.3). The
// path is not decoded, because /a%2Fb and /a/b, or /a%3Fq=1 and /a?q=1, are different.
// The query has its question mark: /a? and /a are two.
func Target(scheme, host string, u *url.URL) string {
	query := u.RawQuery
	if u.ForceQuery || query != "" {
		query = "?" + query
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return Join(scheme, canonicalHost(scheme, host), path, query)
}

// SentURL returns the URL of a request with the part of its path that an outer
// handler has cut off, as [http.StripPrefix] does: /a/page and /b/page have two keys,
// also where the handler sees /page. A path that was rewritten to another one counts
// as the handler sees it. The request does not change.
func SentURL(r *http.Request) *url.URL {
	sent, _, _ := strings.Cut(r.RequestURI, "?")
	if sent == r.URL.EscapedPath() || sent == "" {
		return r.URL
	}
	u, err := url.ParseRequestURI(sent)
	if err != nil {
		return r.URL
	}
	// Decoded, because what is cut off decides how net/url encodes the rest.
	if len(u.Path) <= len(r.URL.Path) || !strings.HasSuffix(u.Path, r.URL.Path) {
		return r.URL
	}
	whole := *r.URL
	whole.Path, whole.RawPath = u.Path, u.RawPath
	return &whole
}

// canonicalHost is a host in lower case without the default port of the scheme. A
// trailing dot stays: a server may tell the two apart.
func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	if !strings.Contains(host, ":") {
		return host
	}
	name, port, err := net.SplitHostPort(host)
	if err == nil && (port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443") {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return host
}

// Join makes one key of several parts. It prefixes each with its length, so that
// ("a:b", "c") is not ("a", "b:c"): no client can make a part that reaches into the next.
func Join(parts ...string) string {
	var space [256]byte // a key is mostly shorter
	return string(appendParts(space[:0], parts...))
}

// appendParts appends to b what Join returns.
func appendParts(b []byte, parts ...string) []byte {
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

// Digest returns a hash of s for a Redis key: the first half of its SHA-256 in 32
// hexadecimal digits. A key has a bounded length and no secret that way.
func Digest(s string) string { return digest([]byte(s)) }

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// urlID is the hash by which a URL is purged. All spellings that mean the same have
// one: with either scheme, because behind a proxy that ends TLS the application sees
// http, with or without the default port or a trailing dot, and however the path and
// the query are encoded (RFC 3986, section 6.2.2). That is coarser than the key of an
// entry: a purge may concern too much, never too little.
func urlID(host, path, query string) string {
	query = decoded(strings.ReplaceAll(strings.TrimPrefix(query, "?"), "+", " "))
	var space [256]byte
	return digest(appendParts(space[:0], PurgeHost(host), withoutDots(decoded(path)), query))
}

// decoded is s without percent-encoding (RFC 3986, section 2.1). A percent sign that
// begins none stays: a query may have one.
func decoded(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b = append(b, c...)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// withoutDots is a path without the segments "." and "..", which browsers resolve
// before they send it (RFC 3986, sections 5.2.4 and 6.2.2.3).
func withoutDots(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	var out []string
	for segment := range strings.SplitSeq(path, "/") {
		switch {
		case segment == ".." && len(out) > 1:
			out = out[:len(out)-1]
		case segment != "." && segment != "..":
			out = append(out, segment)
		}
	}
	if last := path[strings.LastIndexByte(path, '/')+1:]; last == "." || last == ".." {
		out = append(out, "") // it names a directory
	}
	return strings.Join(out, "/")
}

// PurgeHost returns a host in one spelling, to compare it: in lower case, without a
// trailing dot and the default port of http or https, an IP address in its canonical
// form (RFC 5952). Its port follows a colon, which is always there.
func PurgeHost(host string) string {
	host = strings.ToLower(host)
	name, port := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ""
	if strings.Contains(host, ":") {
		if n, p, err := net.SplitHostPort(host); err == nil {
			name, port = n, p
		}
	}
	name, port = strings.TrimSuffix(name, "."), strings.TrimLeft(port, "0")
	if mayBeAddr(name) {
		if addr, err := netip.ParseAddr(name); err == nil {
			name = addr.String()
		}
	}
	if port == "80" || port == "443" {
		port = ""
	}
	return net.JoinHostPort(name, port)
}

// mayBeAddr spares a host name the error of [netip.ParseAddr].
func mayBeAddr(name string) bool {
	return name != "" && '0' <= name[0] && name[0] <= '9' || strings.Contains(name, ":")
}

// ErrURL is returned by [ParseURL] for a URL that no key can have.
var ErrURL = errors.New("not an absolute http or https URL with a host in ASCII")

// ParseURL returns the primary key of an absolute URL, which [PurgeID] makes the hash
// of a purge. User information and fragment are ignored: no request has them.
func ParseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", ErrURL
	}
	// Browsers send a host in its ASCII form (RFC 5891): any other is never a key.
	if strings.ContainsFunc(u.Host, func(c rune) bool { return c > unicode.MaxASCII }) {
		return "", ErrURL
	}
	return Target(u.Scheme, u.Host, u), nil
}

// PurgeID returns the hash by which a primary key is purged: that of its URL, so it
// must not have what WithVaryBy adds. All spellings of a URL have one, see urlID.
func PurgeID(target string) string {
	var space [maxParts]string
	parts := split(space[:0], target)
	if len(parts) != 4 {
		return Digest(target)
	}
	return urlID(parts[1], parts[2], parts[3])
}

// maxParts is above the number of parts that a key of this cache has.
const maxParts = 5

// Split returns the parts that [Join] was given, nil for a string that it has not made.
// After five parts it stops: no key of this cache has more than four.
func Split(s string) []string { return split(nil, s) }

// split is Split with room for the parts.
func split(parts []string, s string) []string {
	for len(s) > 0 && len(parts) < maxParts {
		n, size := binary.Uvarint([]byte(s[:min(len(s), binary.MaxVarintLen64)]))
		if size <= 0 || n > uint64(len(s)-size) {
			return nil
		}
		parts, s = append(parts, s[size:size+int(n)]), s[size+int(n):]
	}
	return parts
}
