package cache

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// maxVary is how many selecting headers a response may name.
const maxVary = 8

// varyNames are the canonical, sorted names of all Vary lines.
func varyNames(h http.Header) []string {
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

// addVary has h name these fields too.
func addVary(h http.Header, names []string) {
	have := varyNames(h)
	for _, name := range names {
		if !slices.Contains(have, name) {
			h["Vary"] = append(slices.Clip(h["Vary"]), name)
		}
	}
}

// addVaryLines adds the lines that name something new.
func addVaryLines(h http.Header, lines []string) {
	if len(h["Vary"]) == 0 {
		h["Vary"] = slices.Clip(lines)
		return
	}
	have := varyNames(h)
	for _, line := range lines {
		if slices.ContainsFunc(varyNames(http.Header{"Vary": {line}}), func(name string) bool { return !slices.Contains(have, name) }) {
			h["Vary"] = append(slices.Clip(h["Vary"]), line)
		}
	}
}

// withoutVary is a list of Vary lines less one name.
func withoutVary(lines []string, name string) []string {
	names := varyNames(http.Header{"Vary": lines})
	names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	if len(names) == 0 {
		return nil
	}
	return []string{strings.Join(names, ", ")}
}
