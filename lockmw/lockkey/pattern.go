package lockkey

import (
	"net/http"
	"net/url"
	"strings"
)

// pattern is the part of a router's pattern that keys consist of.
type pattern struct {
	path    string   // /a/{}/, wildcards without names
	names   []string // of its wildcards
	subtree bool     // it matches all paths below, and no wildcard holds them
	rest    bool     // its last wildcard holds the rest
}

// parsePattern reads "[METHOD ][HOST]/[PATH]". Wildcards may have a regular
// expression, as in chi; "*" is a wildcard that holds the rest.
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

// closing returns where the brace ends that s begins with: a regular expression
// may have braces of its own.
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

// below returns the path of u without its first n parts, the first of which is empty.
func below(u *url.URL, n int) string {
	parts := strings.Split(u.EscapedPath(), "/")
	parts = parts[min(n, len(parts)):]
	for i, part := range parts {
		parts[i] = unescape(part)
	}
	return strings.Join(parts, "/")
}

// values returns the values that the router has set. It is for patterns with
// wildcards that are not whole segments of the URL.
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

// match returns the values of p's wildcards in u, decoded as [http.ServeMux]
// does. It reports false if u does not match p.
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

// count returns how many values p has.
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
