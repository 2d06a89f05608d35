package lockmw

import (
	"encoding/binary"
	"errors"
	"net/http"
	"regexp"
	"strings"
)

// KeyFunc names what a request locks. An error, or an empty key, is answered
// 500: never one lock for all.
type KeyFunc func(*http.Request) (string, error)

// ErrNoPattern is a request that no pattern of a ServeMux has matched yet; see
// [ByRoute].
var ErrNoPattern = errors.New("lockmw: the request has no pattern: wrap the route's handler, or use ByRoute around the mux")

// ByPattern is the key of the matched route and the values of its wildcards:
// POST /orders/{id}/pay locks each order by itself. It needs the pattern that
// [http.ServeMux] sets before it calls the route's handler.
func ByPattern(r *http.Request) (string, error) {
	if r.Pattern == "" {
		return "", ErrNoPattern
	}
	parts := []string{r.Pattern}
	for _, name := range wildcards(r.Pattern) {
		parts = append(parts, r.PathValue(name))
	}
	return Join(parts...), nil
}

// ByRoute is ByPattern for a Handler around mux, which has not matched the
// request yet. A request that no route matches, which mux will answer 404 or
// 405, is not locked together with others: its key is its method and path.
func ByRoute(mux *http.ServeMux) KeyFunc {
	return func(r *http.Request) (string, error) {
		_, pattern := mux.Handler(r)
		if pattern == "" {
			return Join("", r.Method, r.URL.EscapedPath()), nil
		}
		// The mux sets path values only when it serves, so the path itself
		// stands for them.
		return Join(pattern, r.Method, r.Host, r.URL.EscapedPath()), nil
	}
}

var wildcard = regexp.MustCompile(`\{([^{}$]+?)(?:\.\.\.)?\}`)

func wildcards(pattern string) []string {
	if !strings.Contains(pattern, "{") {
		return nil
	}
	var names []string
	for _, m := range wildcard.FindAllStringSubmatch(pattern, -1) {
		names = append(names, m[1])
	}
	return names
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
