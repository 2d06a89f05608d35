package rules

import (
	"net/http"
	"slices"
	"strings"
)

const (
	// MaxTags is how many tags a response may have. With more it is not stored.
	MaxTags      = 128
	maxTagLength = 1024
)

// tagsOf are the groups a response is in: Cache-Groups (RFC 9875, a list of
// strings), Surrogate-Key (words) and Cache-Tag (a list), deduplicated. ok is
// false when there are too many to keep, because a purge would miss some then. RFC
// 9875, section 2, requires at least 32 groups of 32 characters.
func tagsOf(h http.Header) (tags []string, ok bool) {
	for _, line := range h["Surrogate-Key"] {
		tags = append(tags, strings.Fields(line)...)
	}
	for _, line := range h["Cache-Tag"] {
		for tag := range strings.SplitSeq(line, ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				tags = append(tags, tag)
			}
		}
	}
	tags = append(tags, Groups(h["Cache-Groups"])...)
	slices.Sort(tags)
	tags = slices.Compact(tags)
	tooLong := slices.ContainsFunc(tags, func(tag string) bool { return len(tag) > maxTagLength })
	return tags, len(tags) <= MaxTags && !tooLong
}

// Groups reads a list of strings (RFC 9651, section 3.1); a field that is not
// one counts as absent (RFC 9875, section 2).
func Groups(lines []string) []string {
	var out []string
	p := &fieldParser{rest: strings.Trim(strings.Join(lines, ","), " \t")}
	for p.rest != "" {
		value, _, ok := p.item()
		if !ok || !strings.HasPrefix(value, `"`) {
			return nil
		}
		out = append(out, value[1:])
		if !p.parameters() { // they mean nothing here
			return nil
		}
		if p.rest = strings.TrimLeft(p.rest, " \t"); p.rest != "" {
			if !p.skip(",") {
				return nil
			}
			if p.rest = strings.TrimLeft(p.rest, " \t"); p.rest == "" {
				return nil
			}
		}
	}
	return out
}
