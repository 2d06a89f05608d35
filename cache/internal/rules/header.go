package rules

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// hop are the fields that are not stored: of one connection (RFC 9110, section
// 7.6.1), of this cache, and those that tell one client its own numbers.
var hop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authentication-Info": true, "Proxy-Authorization": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Age": true, "Cache-Status": true, "Content-Length": true,
	"Ratelimit": true, "Ratelimit-Policy": true, "Retry-After": true,
}

// StoredHeader returns the fields of a handler's header that are stored (RFC 9111, section
// 3.1), with a Date if it has none (RFC 9110, section 6.6.1). The values are shared with h.
func StoredHeader(h http.Header, now time.Time) http.Header {
	out := make(http.Header, len(h)+1)
	named := strings.Join(h["Connection"], ",")
	for name, values := range h {
		if hop[name] || strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, http.TrailerPrefix) || listed(named, name) {
			continue
		}
		out[name] = values
	}
	if out.Get("Date") == "" {
		out.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	return out
}

// notUpdated are the fields of a 304 that say something of the stored content
// and do not replace what is stored (RFC 9111, section 3.2).
var notUpdated = map[string]bool{"Content-Encoding": true, "Content-Length": true, "Content-Md5": true, "Content-Range": true, "Etag": true, "Set-Cookie": true}

// Updated returns a stored header after a 304 with these fields (RFC 9111, section 4.3.4).
// The stored one does not change: other requests read it.
func Updated(stored, fields http.Header, now time.Time) http.Header {
	out := stored.Clone()
	for name, values := range StoredHeader(fields, now) {
		if !notUpdated[name] {
			out[name] = values
		}
	}
	return out
}

func listed(list, name string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(item), name) {
			return true
		}
	}
	return false
}

// AddedTo returns the sorted names of fields to which the handler has added values: those
// of outer middlewares stand before its own, so a hit adds to them too.
func AddedTo(before, after http.Header) []string {
	var names []string
	for name, old := range before {
		now := after[name]
		if len(old) > 0 && len(now) > len(old) && slices.Equal(now[:len(old)], old) {
			names = append(names, textproto.CanonicalMIMEHeaderKey(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Own returns what the handler added to the header map it was given: fields that
// were there before belong to outer middlewares, which write to the same map,
// and so do the first values of a field that was added to. A field that was replaced is
// the handler's. The names are canonical, however the handler wrote them into the map.
func Own(before, after http.Header) http.Header {
	out := make(http.Header, len(after))
	for name, values := range after {
		if len(values) == 0 {
			continue
		}
		old := before[name]
		shared := 0
		for shared < len(old) && shared < len(values) && old[shared] == values[shared] {
			shared++
		}
		if shared == len(old) {
			values = values[shared:]
		}
		if len(values) == 0 {
			continue
		}
		if key := textproto.CanonicalMIMEHeaderKey(name); len(out[key]) == 0 {
			out[key] = values
		} else {
			out[key] = slices.Concat(out[key], values)
		}
	}
	return out
}
