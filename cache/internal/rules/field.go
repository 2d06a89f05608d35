package rules

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
)

// deciding are the response fields that the decisions of the cache depend on, and that
// an outer middleware may set for a response it does not make. Validators are none of
// them: they belong to the content.
var deciding = map[string]bool{
	"Cache-Control": true, "Pragma": true, "Expires": true, "Vary": true, "Set-Cookie": true, "Content-Type": true,
	"Surrogate-Key": true, "Cache-Tag": true, "Cache-Groups": true,
}

// Around returns a copy of the deciding fields of a header, by their canonical names, nil
// if there are none.
func (rs *Rules) Around(h http.Header) http.Header {
	var out http.Header
	for name, values := range h {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if len(values) == 0 || !deciding[name] && !slices.Contains(rs.Targets, name) {
			continue
		}
		if out == nil {
			out = http.Header{}
		}
		out[name] = append(out[name], values...)
	}
	return out
}

// together are the values that all have given to a field, those of outer middlewares first.
func together(name string, own, around http.Header) []string {
	if len(around[name]) == 0 {
		return own[name]
	}
	return slices.Concat(around[name], own[name])
}

// CanonicalHeader is h with canonical names, nil if it has no others. Code that
// writes into the map itself can use any.
func CanonicalHeader(h http.Header) http.Header {
	canonical := true
	for name := range h {
		canonical = canonical && textproto.CanonicalMIMEHeaderKey(name) == name
	}
	if canonical {
		return nil
	}
	out := make(http.Header, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		key := textproto.CanonicalMIMEHeaderKey(name)
		out[key] = append(out[key], h[name]...)
	}
	return out
}
