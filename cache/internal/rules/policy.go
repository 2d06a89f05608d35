package rules

import (
	"net/http"
	"slices"
	"strings"
)

// unstorable says why a response must not be stored (RFC 9111, section 3), "" if
// it may be. t is what the handler and outer middlewares say.
func (rs *Rules) unstorable(r *http.Request, res Response, t Terms) string {
	status, h := res.Status, res.Header
	switch {
	case r.Method != http.MethodGet:
		return "method"
	case status == 0:
		return "nothing-written"
	case status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified:
		return "status"
	case t.Has("must-understand") && !understood(status):
		return "status"
	case len(h["Set-Cookie"]) > 0 || len(res.Around["Set-Cookie"]) > 0:
		return "set-cookie"
	case len(h["Trailer"]) > 0:
		return "trailer"
	case t.Has("no-store"):
		return "no-store"
	case t.Has("private"):
		return "private"
	case len(r.Header["Authorization"]) > 0 && !t.shared:
		return "authorization"
	case slices.ContainsFunc(res.all("Content-Type"), eventStream):
		return "event-stream"
	case rs.Unselectable(VaryNames(http.Header{"Vary": res.all("Vary")})):
		return "vary"
	}
	if size, ok := position(h.Get("Content-Length")); ok && size > rs.MaxBody {
		return "too-large"
	}
	return ""
}

// eventStream reports whether a response never ends: to store it, it would be held back.
func eventStream(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.Trim(kind, " \t"), "text/event-stream")
}

// Unselectable reports whether nothing is stored that varies by these fields.
func (rs *Rules) Unselectable(names []string) bool {
	return len(names) > MaxVary || slices.ContainsFunc(names, func(name string) bool {
		return name == "*" || name == "Authorization" || name == "Cookie" && !rs.VaryCookie
	})
}
