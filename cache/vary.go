package cache

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
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

// unkeyed are fields that handlers take for part of the URL or method, though
// a client may send any. They select a variant as if every response varied by
// them, so nobody can put his page in another's place.
var unkeyed = []string{"Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Scheme",
	"X-Host", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Original-Host", "X-Original-Url", "X-Rewrite-Url"}

// variant is the secondary key: a hash of the selecting header values, as
// normalised as RFC 9111, section 4.1, allows.
func (c *config) variant(names []string, h http.Header) string {
	var sum hash.Hash
	add := func(name string) {
		values := h[name]
		if len(values) == 0 {
			return
		}
		if sum == nil {
			sum = sha256.New()
		}
		sum.Write([]byte(join(name, normalized(name, values, names))))
	}
	for _, name := range unkeyed {
		add(name)
	}
	for _, name := range c.vary {
		add(name)
	}
	fields := fieldsOf(names)
	for _, name := range fields {
		add(name)
	}
	suffix := "0" // no header selects
	if sum != nil {
		suffix = hex.EncodeToString(sum.Sum(nil)[:16])
	}
	if len(fields) == 0 {
		return suffix
	}
	return suffix + "." + digest(join(fields...))[:8]
}

// Among the names that are stored for a target are the languages in which it
// was seen, marked so that they cannot be field names.
const langMark = "{"

// fieldsOf are the names without the languages.
func fieldsOf(names []string) []string {
	isLang := func(name string) bool { return strings.HasPrefix(name, langMark) }
	if !slices.ContainsFunc(names, isLang) {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), isLang)
}

// languagesOf counts the languages among the names.
func languagesOf(names []string) int { return len(names) - len(fieldsOf(names)) }

// language is the mark for a response that varies by Accept-Language and says
// in which one it is, "" for others.
func language(fields []string, h http.Header) string {
	lang := strings.ToLower(strings.TrimSpace(h.Get("Content-Language")))
	if !slices.Contains(fields, "Accept-Language") || len(h["Content-Language"]) != 1 || !validToken.MatchString(lang) {
		return ""
	}
	return langMark + lang
}

// normalized makes one of the many ways to write the same: lines folded, white
// space around list members dropped, and of the two fields that browsers send
// in so many ways the order and the case too.
//
// Who likes one language best, in which the target is known to be, gets that
// whatever else he takes: a handler would choose it too.
func normalized(name string, values, known []string) string {
	if name == "Accept-Encoding" || name == "Accept-Language" {
		list, best := preferences(strings.ToLower(strings.Join(values, ",")))
		if name == "Accept-Language" && best != "" && slices.Contains(known, langMark+best) {
			return langMark + best
		}
		return list
	}
	if len(values) == 1 && !strings.Contains(values[0], ",") {
		return strings.TrimSpace(values[0])
	}
	var items []string
	for rest := strings.Join(values, ","); ; {
		var item string
		item, rest = cutItem(rest)
		items = append(items, strings.TrimSpace(item))
		if rest == "" {
			return strings.Join(items, ",")
		}
	}
}

// preferences orders a list by weight, then by name: members of one weight are
// equally welcome (RFC 9110, section 12.4.2). What is refused with q=0 is dropped.
// best is the first if it is liked better than all others.
func preferences(list string) (normal, best string) {
	type preference struct {
		name   string
		weight float64
	}
	var all []preference
	for item := range strings.SplitSeq(list, ",") {
		name, params, _ := strings.Cut(item, ";")
		p := preference{strings.TrimSpace(name), 1}
		if q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			if weight, err := strconv.ParseFloat(q, 64); err == nil {
				p.weight = weight
			}
		}
		if p.name != "" && p.weight > 0 {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b preference) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.name, b.name))
	})
	var b strings.Builder
	for _, p := range all {
		b.WriteString(p.name)
		if p.weight != 1 {
			b.WriteString(";q=" + strconv.FormatFloat(p.weight, 'g', 3, 64))
		}
		b.WriteByte(',')
	}
	if len(all) == 1 || len(all) > 1 && all[0].weight > all[1].weight {
		best = all[0].name
	}
	return b.String(), best
}
