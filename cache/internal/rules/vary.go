package rules

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// MaxVary is how many selecting headers a response may name.
const MaxVary = 8

// VaryNames are the canonical, sorted names of all Vary lines.
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

// AddVary has h name these fields too.
func AddVary(h http.Header, names []string) {
	have := VaryNames(h)
	for _, name := range names {
		if !slices.Contains(have, name) {
			h["Vary"] = append(slices.Clip(h["Vary"]), name)
		}
	}
}

// AddVaryLines adds the lines that name something new.
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

// WithoutVary is a list of Vary lines less one name.
func WithoutVary(lines []string, name string) []string {
	names := VaryNames(http.Header{"Vary": lines})
	names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	if len(names) == 0 {
		return nil
	}
	return []string{strings.Join(names, ", ")}
}
