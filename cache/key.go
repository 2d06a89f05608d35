package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// maxVary is how many selecting headers a response may name.
const maxVary = 8

// target is the primary key: the URL as the client wrote it. The path is not
// decoded, for /a%2Fb and /a/b, or /a%3Fq=1 and /a?q=1, are different.
func target(scheme, host string, u *url.URL) string {
	query := u.RawQuery
	if u.ForceQuery || query != "" {
		query = "?" + query
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return join(scheme, canonicalHost(scheme, host), path, query)
}

func requestTarget(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return target(scheme, r.Host, r.URL)
}

func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	name, port, err := net.SplitHostPort(host)
	if err == nil && (port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443") {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return host
}

// join prefixes each part with its length, so that ("a:b", "c") is not ("a",
// "b:c").
func join(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return string(b)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

var errURL = errors.New("not an absolute http or https URL")

// urlTarget is the primary key of a URL to purge.
func urlTarget(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errURL
	}
	return target(u.Scheme, u.Host, u), nil
}

// varyNames are the canonical, sorted names of all Vary lines.
func varyNames(h http.Header) []string {
	var names []string
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)); name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// unkeyed are fields that handlers take for part of the URL or method, though
// a client may send any. They select a variant as if every response varied by
// them, so nobody can put his page in another's place.
var unkeyed = []string{"Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Scheme",
	"X-Host", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Original-Host", "X-Original-Url", "X-Rewrite-Url"}

// variant is the secondary key: a hash of the selecting header values, lines
// folded and trimmed (RFC 9111, section 4.1).
func variant(names []string, h http.Header) string {
	var sum hash.Hash
	add := func(name string, normal func(string) string) {
		values := h[name]
		if len(values) == 0 {
			return
		}
		folded := make([]string, len(values))
		for i, v := range values {
			folded[i] = strings.TrimSpace(v)
		}
		if sum == nil {
			sum = sha256.New()
		}
		sum.Write([]byte(join(name, normal(strings.Join(folded, ",")))))
	}
	same := func(s string) string { return s }
	for _, name := range unkeyed {
		add(name, same)
	}
	for _, name := range names {
		if name == "Accept-Encoding" {
			add(name, encodings)
			continue
		}
		add(name, same)
	}
	suffix := "0" // no header selects
	if sum != nil {
		suffix = hex.EncodeToString(sum.Sum(nil)[:16])
	}
	if len(names) == 0 {
		return suffix
	}
	return suffix + "." + digest(join(names...))[:8]
}

// encodings makes one of the many ways in which browsers write the same list.
func encodings(s string) string {
	var codings []string
	for item := range strings.SplitSeq(strings.ToLower(s), ",") {
		name, params, _ := strings.Cut(item, ";")
		q := strings.ReplaceAll(params, " ", "")
		if name = strings.TrimSpace(name); name == "" || q == "q=0" || strings.HasPrefix(q, "q=0.") && strings.Trim(q[4:], "0") == "" {
			continue
		}
		codings = append(codings, name+weight(q))
	}
	slices.Sort(codings)
	return strings.Join(codings, ",")
}

// weight keeps a preference, for a handler may follow it.
func weight(q string) string {
	if q == "" || q == "q=1" || strings.HasPrefix(q, "q=1.") {
		return ""
	}
	return ";" + q
}
