package lockmw

import (
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// KeyFunc returns the key that a request locks. Requests with one key exclude
// each other. If it fails, or returns "", the request is refused with 500 and
// the reason is logged: requests without a key never share a lock.
//
// The key should name the thing that is changed, however the client spells it.
// Everything a function adds to it (a method, a host, a header) splits the lock.
type KeyFunc func(*http.Request) (string, error)

// ErrNoKey is what [Hooks].Failed is told, with the reason, of a request for which
// the key function fails or returns "".
var ErrNoKey = errors.New("lockmw: no key for a request")

// ErrNoPattern is returned by [ByPattern] for a request without a pattern.
var ErrNoPattern = errors.New("lockmw: the request has no pattern: no router has matched it yet, or the router sets none; use ByPath or ByRoute")

// ByPath is the default key: the path of the request, "/orders/4711". It needs
// no pattern, so it works behind and around any router. Spellings of one path
// have one key: it is decoded, without dot segments, repeated slashes and a
// trailing slash, so /orders/4711/, /orders/%34711 and /./orders//4711 are
// /orders/4711. Upper and lower case differ.
//
// Methods, hosts and queries do not count: GET and PUT of one path have one
// key, as [WithReadWrite] needs. [PerMethod] and [PerHost] add them.
//
// The path is that of r.URL. Behind [http.StripPrefix] it lacks the prefix:
// wrap the StripPrefix, or use a Locker with another [WithName] for each prefix.
func ByPath(r *http.Request) (string, error) { return path.Clean("/" + r.URL.Path), nil }

// ByPattern is the path of the matched pattern and the values of its wildcards,
// whose names do not count: for both GET /orders/{id} and PUT /orders/{order} it
// is Join("/orders/{}", "4711"). The method and the host of the pattern do not
// count either; [PerMethod] and [PerHost] add those of the request. It returns
// [ErrNoPattern] for a request without a pattern. Below a pattern that ends with
// a slash each path has a key.
//
// It differs from ByPath where one handler serves a resource under several
// prefixes that [http.StripPrefix] takes away.
func ByPattern(r *http.Request) (string, error) {
	if r.Pattern == "" {
		return "", ErrNoPattern
	}
	p := parsePattern(r.Pattern)
	// Routers differ in whether a path value is decoded: chi's is as the client spells it.
	values, ok := p.match(r.URL)
	if !ok {
		values = p.values(r)
	}
	return Join(append([]string{p.path}, values...)...), nil
}

// ByRoute is [ByPattern] for a Handler around mux, which has not matched the
// request yet. The key of a request that mux has no route for, and answers
// itself, is its path.
func ByRoute(mux *http.ServeMux) KeyFunc {
	return func(r *http.Request) (string, error) {
		_, pattern := mux.Handler(r)
		if pattern == "" {
			key, err := ByPath(r)
			return Join("", key), err
		}
		p := parsePattern(pattern)
		values, ok := p.match(r.URL)
		if !ok { // mux redirects to the path that it has matched
			key, err := ByPath(r)
			return Join("", key), err
		}
		return Join(append([]string{p.path}, values...)...), nil
	}
}

// PerMethod adds the method to key, so that requests of two methods have two
// locks. HEAD counts as GET. It does not go with [WithReadWrite]: a reader and
// a writer would not exclude each other.
func PerMethod(key KeyFunc) KeyFunc {
	return func(r *http.Request) (string, error) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		return with(method, key, r)
	}
}

// PerHost adds the host to key, in lower case and without a port and a dot at
// its end, so that two hosts have two locks. The client chooses the host: let
// only those pass that you serve.
func PerHost(key KeyFunc) KeyFunc {
	return func(r *http.Request) (string, error) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		return with(strings.ToLower(strings.TrimSuffix(host, ".")), key, r)
	}
}

// with adds part to key; what has no key gets none.
func with(part string, key KeyFunc, r *http.Request) (string, error) {
	k, err := key(r)
	if err != nil || k == "" {
		return "", err
	}
	return Join(part, k), nil
}

// pattern is what matters of the pattern of a router.
type pattern struct {
	path    string   // /a/{}/, wildcards without names
	names   []string // of its wildcards
	subtree bool     // it matches what is below, and no wildcard holds that
	rest    bool     // its last wildcard holds the rest
}

// parsePattern reads "[METHOD ][HOST]/[PATH]". Wildcards may have a regular
// expression, as those of chi do; "*" is one that holds the rest.
func parsePattern(s string) (p pattern) {
	if i := strings.IndexAny(s, " \t"); i >= 0 && !strings.Contains(s[:i], "/") {
		s = strings.TrimLeft(s[i:], " \t")
	}
	if i := strings.IndexAny(s, "/{"); i >= 0 && s[i] == '/' {
		s = s[i:] // without the host
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{*")
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		if s = s[i:]; s[0] == '*' {
			p.names, p.rest, s = append(p.names, "*"), true, s[1:]
			continue
		}
		end := closing(s)
		name, _, _ := strings.Cut(s[1:end], ":")
		s = s[min(end+1, len(s)):]
		switch {
		case name == "$": // as a subtree of which nothing is below the path
		case strings.HasSuffix(name, "..."):
			p.names, p.rest = append(p.names, strings.TrimSuffix(name, "...")), true
		default:
			p.names = append(p.names, name)
			b.WriteString("{}")
		}
	}
	b.WriteString(s)
	p.path = b.String()
	p.subtree = !p.rest && strings.HasSuffix(p.path, "/")
	return p
}

// closing is where the brace ends that s begins with: a regular expression may
// have braces of its own.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s)
}

// below is the path of u without its first n parts, the first of which is empty.
func below(u *url.URL, n int) string {
	parts := strings.Split(u.EscapedPath(), "/")
	parts = parts[min(n, len(parts)):]
	for i, part := range parts {
		parts[i] = unescape(part)
	}
	return strings.Join(parts, "/")
}

// values returns those that the router has set, of a pattern that does not stand
// for whole segments of the URL.
func (p pattern) values(r *http.Request) []string {
	values := make([]string, 0, len(p.names)+1)
	for _, name := range p.names {
		value := r.PathValue(name)
		if r.URL.RawPath != "" {
			value = unescape(value)
		}
		values = append(values, value)
	}
	if p.subtree {
		values = append(values, below(r.URL, strings.Count(p.path, "/")))
	}
	return values
}

// match returns the values of p's wildcards in u, decoded, as [http.ServeMux]
// does, if p is what u matches.
func (p pattern) match(u *url.URL) ([]string, bool) {
	segments, values := strings.Split(u.EscapedPath(), "/"), []string{}
	parts := strings.Split(p.path, "/")
	for i, part := range parts {
		if i == len(parts)-1 && part == "" && (p.rest || p.subtree) {
			if i >= len(segments) {
				return nil, false
			}
			values = append(values, below(u, i))
			return values, len(values) == p.count()
		}
		if i >= len(segments) {
			return nil, false
		}
		switch segment := unescape(segments[i]); {
		case part == "{}":
			values = append(values, segment)
		case unescape(part) != segment:
			return nil, false
		}
	}
	return values, len(parts) == len(segments) && len(values) == p.count()
}

// count is how many values p has.
func (p pattern) count() int {
	if p.subtree {
		return len(p.names) + 1
	}
	return len(p.names)
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// Join makes one key of several parts, so that ("a:b", "c") is not ("a",
// "b:c").
func Join(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return string(b)
}
