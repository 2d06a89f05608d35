package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// The fields of content negotiation (RFC 9110, section 12.5), compared by what
// they mean: two that mean the same have one normal form, as far as that is
// certain, and two that do not have two.

// preference is a member of such a list.
type preference struct {
	name   string
	weight int // in thousandths
}

// preferences reads a list of names with weights. ok is false where its meaning
// is not certain: another parameter, a weight that is none, one name with two weights.
func preferences(list string) (all []preference, ok bool) {
	for item := range strings.SplitSeq(lower(list), ",") {
		name, param, weighted := strings.Cut(item, ";")
		p := preference{strings.Trim(name, ows), 1000}
		if weighted {
			q, found := strings.CutPrefix(strings.Trim(param, ows), "q=")
			if p.weight, ok = qvalue(q); !found || !ok {
				return nil, false
			}
		}
		if p.name == "" {
			if weighted {
				return nil, false
			}
			continue
		}
		if strings.ContainsAny(p.name, " \t\"=") {
			return nil, false
		}
		at := slices.IndexFunc(all, func(other preference) bool { return other.name == p.name })
		switch {
		case at < 0:
			all = append(all, p)
		case all[at].weight != p.weight:
			return nil, false
		}
	}
	// Members of one weight are equally welcome (section 12.4.2).
	slices.SortFunc(all, func(a, b preference) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.name, b.name))
	})
	return all, true
}

// qvalue reads a weight: 0 to 1 with at most three digits after the point.
func qvalue(s string) (thousandths int, ok bool) {
	whole, digits, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(digits) > 3 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n := int(whole[0] - '0')
	for i := range 3 {
		n *= 10
		if i < len(digits) {
			n += int(digits[i] - '0')
		}
	}
	return n, n <= 1000
}

// uncertain is the normal form of a list that is only folded. It is the form of no other.
func uncertain(list string) string {
	all := slices.DeleteFunc(items(list), func(item string) bool { return item == "" })
	return "=" + strings.Join(all, ",")
}

func written(all []preference) string {
	var b strings.Builder
	for _, p := range all {
		b.WriteString(p.name)
		if p.weight != 1000 {
			b.WriteString(";q=" + strconv.Itoa(p.weight))
		}
		b.WriteByte(',')
	}
	return b.String()
}

// encodings is Accept-Encoding (section 12.5.3). What is refused says something
// only beside a wildcard, which would allow it, and of identity, which is
// acceptable unless it is refused.
func encodings(list string) string {
	all, ok := preferences(list)
	if !ok {
		return uncertain(list)
	}
	weight := func(name string) int {
		at := slices.IndexFunc(all, func(p preference) bool { return p.name == name })
		if at < 0 {
			return -1
		}
		return all[at].weight
	}
	star := weight("*")
	all = slices.DeleteFunc(all, func(p preference) bool {
		return p.weight == 0 && p.name != "identity" && (p.name == "*" || star <= 0)
	})
	if star == 0 && weight("identity") < 0 {
		all = append(all, preference{"identity", 0}) // that is what else it refuses
	}
	return written(all)
}

// languages is Accept-Language (section 12.5.4). A range covers what is more
// special, so what is refused always says something. best is the first if it is liked better
// than all others.
func languages(list string) (normal, best string) {
	all, ok := preferences(list)
	if !ok {
		return uncertain(list), ""
	}
	if len(all) > 0 && all[0].weight > 0 && (len(all) == 1 || all[0].weight > all[1].weight) {
		best = all[0].name
	}
	return written(all), best
}

// charsets is Accept-Charset (section 12.5.2). Without a wildcard nothing else
// is acceptable, so there what is refused says nothing.
func charsets(list string) string {
	all, ok := preferences(list)
	if !ok {
		return uncertain(list)
	}
	star := slices.ContainsFunc(all, func(p preference) bool { return p.name == "*" && p.weight > 0 })
	return written(slices.DeleteFunc(all, func(p preference) bool { return p.weight == 0 && !star }))
}

// mediaRanges is Accept (section 12.5.1), in the order of the client: many handlers go by it.
func mediaRanges(list string) string {
	out := items(list)
	for i, item := range out {
		out[i] = mediaRange(item)
	}
	out = slices.DeleteFunc(out, func(item string) bool { return item == "" })
	return strings.Join(out, ",")
}

// mediaRange is one without white space, with its names in lower case, and
// without the weight that it has anyway.
func mediaRange(item string) string {
	kind, rest := cutParam(item)
	var out strings.Builder
	out.WriteString(lower(strings.Trim(kind, ows)))
	for rest != "" {
		var param string
		param, rest = cutParam(rest)
		name, value, assigned := strings.Cut(strings.Trim(param, ows), "=")
		weight, ok := qvalue(value)
		switch name = lower(name); {
		case name != "q" || !ok:
			out.WriteString(";" + name)
			if assigned {
				out.WriteString("=" + value)
			}
		case weight < 1000 || rest != "": // what follows is no parameter of the type
			out.WriteString(";q=" + strconv.Itoa(weight))
		}
	}
	return out.String()
}
