package lockmw

import (
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"

	"github.com/redishttp/redishttp/internal/keypart"
)

// KeyFunc returns the key that a request locks. Requests with one key exclude
// each other. If it fails, or returns "", the request is refused with 500 and
// the reason is logged: requests without a key never share a lock.
//
// The key should name the thing that is changed, however the client spells it.
// Everything a function adds to it (a method, a host, a header) splits the lock.
type KeyFunc func(*http.Request) (string, error)

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

// ByPattern returns the path of the matched pattern and the values of its
// wildcards, whose names do not count: for both GET /orders/{id} and PUT
// /orders/{order} it is Join("/orders/{}", "4711"). The method and the host of the
// pattern do not count either; [PerMethod] and [PerHost] add those of the request.
// It returns [ErrNoKey] for a request without a pattern. Below a pattern that ends
// with a slash each path has its own key.
//
// It differs from ByPath where one handler serves a resource under several
// prefixes that [http.StripPrefix] removes.
func ByPattern(r *http.Request) (string, error) {
	if r.Pattern == "" {
		return "", fmt.Errorf("%w: it has no pattern: no router has matched it yet, or the router sets none; use ByPath or ByRoute", ErrNoKey)
	}
	p := parsePattern(r.Pattern)
	// Routers differ in whether they decode a path value: chi leaves it as the client spells it.
	values, ok := p.match(r.URL)
	if !ok {
		values = p.values(r)
	}
	return Join(append([]string{p.path}, values...)...), nil
}

// ByRoute returns a [ByPattern] for a Handler around mux, which has not matched
// the request yet. The key of a request for which mux has no route is its path.
func ByRoute(mux *http.ServeMux) KeyFunc {
	return func(r *http.Request) (string, error) {
		_, pattern := mux.Handler(r)
		p := parsePattern(pattern)
		values, ok := p.match(r.URL)
		if pattern == "" || !ok { // no route, or mux redirects to the path that it has matched
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
		return addTo(key, method, r)
	}
}

// PerHost adds the host to key, in lower case and without a port and a dot at
// its end, so that two hosts have two locks. The client chooses the host: accept
// only hosts that you serve.
func PerHost(key KeyFunc) KeyFunc {
	return func(r *http.Request) (string, error) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		return addTo(key, strings.ToLower(strings.TrimSuffix(host, ".")), r)
	}
}

// addTo adds part to the key of a request, if it has one.
func addTo(key KeyFunc, part string, r *http.Request) (string, error) {
	k, err := key(r)
	if err != nil || k == "" {
		return "", err
	}
	return Join(part, k), nil
}

// Join makes one key of several parts, for example Join("order", id). Different
// parts never give the same key, whatever they contain: ("a:b", "c") is not ("a",
// "b:c").
func Join(parts ...string) string { return keypart.Join(parts...) }
