package rules

import (
	"net/http"
	"strings"
	"time"
)

// Control is a Cache-Control field: directives in lower case with their
// arguments (RFC 9111, section 5.2).
type Control map[string]string

// ParseControl reads all lines of Cache-Control; of a directive given twice the more
// restrictive one counts (RFC 9111, section 4.2.1). Whatever else is invalid is read so
// that nothing that forbids is lost. It returns nil for a header without the field.
func ParseControl(h http.Header) Control {
	lines := h["Cache-Control"]
	if len(lines) == 0 {
		return nil
	}
	c := Control{}
	for _, line := range lines {
		for line != "" {
			var item string
			item, line = cutItem(line)
			name, arg, _ := strings.Cut(item, "=")
			name = strings.ToLower(strings.Trim(name, " \t"))
			if i := strings.IndexAny(name, "; \t"); i > 0 {
				name, arg = name[:i], "" // the argument is of something else
			}
			c.prohibitions(item)
			if name != "" {
				c.add(Control{name: strings.Trim(strings.Trim(arg, " \t"), `"`)})
			}
		}
	}
	return c
}

// prohibitions adds those of an item that is no valid directive, but clear enough:
// "private; max-age=60", "max-age=60 no-store".
func (c Control) prohibitions(item string) {
	if !strings.ContainsAny(item, "; \t") {
		return
	}
	for rest := item; rest != ""; {
		var part string
		part, rest = cutParam(rest)
		part, _, _ = strings.Cut(part, `"`) // what is quoted is no word of its own
		for word := range strings.FieldsSeq(part) {
			switch word, _, _ = strings.Cut(strings.ToLower(word), "="); word {
			case "private", "no-store", "no-cache":
				c[word] = ""
			}
		}
	}
}

// add has c say what d says too.
func (c Control) add(d Control) {
	for name, arg := range d {
		if have, both := c[name]; both {
			arg = stricter(name, have, arg)
		}
		c[name] = arg
	}
}

// stricter is the argument, of two that a directive is given, that permits less.
func stricter(name, a, b string) string {
	x, _ := deltaSeconds(a)
	y, _ := deltaSeconds(b)
	switch name {
	case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
		if y < x {
			return b
		}
	case "min-fresh":
		if y > x {
			return b
		}
	case "max-stale": // without an argument: any
		if a == "" || b != "" && y < x {
			return b
		}
	}
	return a
}

// Has reports whether a directive is given, with or without an argument. The qualified
// forms of private and no-cache, which name fields, count as the others: a cache may
// treat them so (RFC 9111, sections 5.2.2.4 and 5.2.2.7).
func (c Control) Has(name string) bool {
	_, ok := c[name]
	return ok
}

// Seconds is a delta-seconds argument. What is too large is very long (RFC
// 9111, section 1.2.2), what is no number counts as 0: stale.
func (c Control) Seconds(name string) (d time.Duration, ok bool) {
	arg, ok := c[name]
	if !ok {
		return 0, false
	}
	d, _ = deltaSeconds(arg)
	return d, true
}
