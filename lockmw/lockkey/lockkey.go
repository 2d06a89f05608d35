// Package lockkey has functions for [lockmw.WithKey]: they return the key that
// a request locks. [Path] is the default.
//
//	locks, err := lockmw.New(rdb, lockmw.WithKey(lockkey.PerMethod(lockkey.Path)))
//
// A key should name the thing that is changed, however the client spells it. The
// functions have the type of lockmw.KeyFunc.
//
// [lockmw.WithKey]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw#WithKey
//
// [lockmw.WithName]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw#WithName
// [lockmw.WithReadWrite]: https://pkg.go.dev/github.com/redishttp/redishttp/lockmw#WithReadWrite
package lockkey

import (
	"errors"
	"net"
	"net/http"
	"path"
	"strings"

	"github.com/redishttp/redishttp/internal/keypart"
)

// ErrNoPattern is returned by [Pattern] for a request without a pattern.
var ErrNoPattern = errors.New("lockkey: the request has no pattern: no router has matched it yet, or the router sets none; use Path or Route")

// Path is the default key: the path of the request, "/orders/4711". It needs
// no pattern, so it works behind and around any router. Spellings of one path
// have one key: it is decoded, without dot segments, repeated slashes and a
// trailing slash, so /orders/4711/, /orders/%34711 and /./orders//4711 are
// /orders/4711. Upper and lower case differ.
//
// Methods, hosts and queries do not count: GET and PUT of one path have one
// key, as [lockmw.WithReadWrite] needs. [PerMethod] and [PerHost] add them.
//
// The path is that of r.URL. Behind [http.StripPrefix] it lacks the prefix:
// wrap the StripPrefix, or use a Locker with another [lockmw.WithName] for each prefix.
func Path(r *http.Request) (string, error) { return path.Clean("/" + r.URL.Path), nil }

// Pattern returns the path of the matched pattern and the values of its
// wildcards, whose names do not count: for both GET /orders/{id} and PUT
// /orders/{order} it is lockmw.Join("/orders/{}", "4711"). The method and the host of the
// pattern do not count either; [PerMethod] and [PerHost] add those of the request.
// It returns [ErrNoPattern] for a request without a pattern. Below a pattern that ends
// with a slash each path has its own key.
//
// It differs from Path where one handler serves a resource under several
// prefixes that [http.StripPrefix] removes.
func Pattern(r *http.Request) (string, error) {
	if r.Pattern == "" {
		return "", ErrNoPattern
	}
	p := parsePattern(r.Pattern)
	// Routers differ in whether they decode a path value: chi leaves it as the client spells it.
	values, ok := p.match(r.URL)
	if !ok {
		values = p.values(r)
	}
	return keypart.Join(append([]string{p.path}, values...)...), nil
}

// Route returns a [Pattern] for a Handler around mux, which has not matched
// the request yet. The key of a request for which mux has no route is its path.
func Route(mux *http.ServeMux) func(*http.Request) (string, error) {
	return func(r *http.Request) (string, error) {
		_, pattern := mux.Handler(r)
		p := parsePattern(pattern)
		values, ok := p.match(r.URL)
		if pattern == "" || !ok { // no route, or mux redirects to the path that it has matched
			key, err := Path(r)
			return keypart.Join("", key), err
		}
		return keypart.Join(append([]string{p.path}, values...)...), nil
	}
}

// PerMethod adds the method to key, so that requests of two methods have two
// locks. HEAD counts as GET. It does not go with [lockmw.WithReadWrite]: a reader and
// a writer would not exclude each other.
func PerMethod(key func(*http.Request) (string, error)) func(*http.Request) (string, error) {
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
func PerHost(key func(*http.Request) (string, error)) func(*http.Request) (string, error) {
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
func addTo(key func(*http.Request) (string, error), part string, r *http.Request) (string, error) {
	k, err := key(r)
	if err != nil || k == "" {
		return "", err
	}
	return keypart.Join(part, k), nil
}
