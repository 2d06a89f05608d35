package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

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
