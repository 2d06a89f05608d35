package rules

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// MaxVary is how many selecting headers a response may name.
const MaxVary = 8

// VaryNames returns the canonical, sorted names of all Vary lines, each once (RFC 9110,
// section 12.5.5).
func VaryNames(h http.Header) []string {
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

// AddVary adds these fields to the Vary of h, one line each, unless they are there. Lines
// that h shares with other headers do not change.
func AddVary(h http.Header, names []string) {
	have := VaryNames(h)
	for _, name := range names {
		if !slices.Contains(have, name) {
			h["Vary"] = append(slices.Clip(h["Vary"]), name)
		}
	}
}

// AddVaryLines adds the lines that name a field which the Vary of h does not name yet.
// Unlike [AddVary] it leaves them as they were written: a hit has the lines of the handler.
func AddVaryLines(h http.Header, lines []string) {
	if len(h["Vary"]) == 0 {
		h["Vary"] = slices.Clip(lines)
		return
	}
	have := VaryNames(h)
	for _, line := range lines {
		if slices.ContainsFunc(VaryNames(http.Header{"Vary": {line}}), func(name string) bool { return !slices.Contains(have, name) }) {
			h["Vary"] = append(slices.Clip(h["Vary"]), line)
		}
	}
}

// WithoutVary returns Vary lines without one name, in one line, nil if no name is left.
func WithoutVary(lines []string, name string) []string {
	names := VaryNames(http.Header{"Vary": lines})
	names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	if len(names) == 0 {
		return nil
	}
	return []string{strings.Join(names, ", ")}
}
