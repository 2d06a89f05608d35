package admin

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redishttp/redishttp/connect"
)

// size formats a number of bytes: 1.5 MiB. A negative number is not known.
func size(n int64) string {
	if n < 0 {
		return "–"
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if f /= 1024; f < 1023.5 {
			break
		}
	}
	digits := 1
	if f >= 99.5 {
		digits = 0
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + " " + unit
}

// count groups the digits of a number with narrow spaces: 1 234 567.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "−", s[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i := range len(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteString("\u202f")
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// span formats a duration with at most two units: 3 d 4 h, 2 min 5 s, 1.3 ms. It
// rounds down, so it never claims more time than there is.
func span(d time.Duration) string {
	if d < 0 {
		return "−" + span(-d)
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) + " ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(math.Floor(float64(d)/1e8)/10, 'f', 1, 64) + " s"
	}
	total := int64(d / time.Second)
	units := []struct {
		seconds int64
		name    string
	}{{365 * 86400, "y"}, {86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}}
	for i, u := range units {
		if n := total / u.seconds; n > 0 {
			out := fmt.Sprintf("%d %s", n, u.name)
			if i+1 < len(units) && n < 10 {
				if rest := total % u.seconds / units[i+1].seconds; rest > 0 {
					out += fmt.Sprintf(" %d %s", rest, units[i+1].name)
				}
			}
			return out
		}
	}
	return "0 s"
}

// relative says when something was or will be: 5 min ago, in 3 s.
func relative(t time.Time) string {
	switch d := time.Until(t); {
	case t.IsZero():
		return "never"
	case d > time.Second:
		return "in " + span(d)
	case d < -time.Second:
		return span(-d) + " ago"
	}
	return "now"
}

// exact formats a time for the title of a relative one, "" for the zero time.
func exact(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}

// percent formats a part of a whole, – if there is no whole.
func percent(part, whole int64) string {
	if whole <= 0 {
		return "–"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64) + " %"
}

// slots formats ranges of hash slots. After many moves there are too many to show.
func slots(ranges []connect.SlotRange) string {
	var parts []string
	for _, s := range ranges {
		if s.From == s.To {
			parts = append(parts, strconv.Itoa(s.From))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d–%d", s.From, s.To))
	}
	if len(parts) > 6 {
		parts = append(parts[:5], fmt.Sprintf("and %d more ranges", len(parts)-5))
	}
	return strings.Join(parts, ", ")
}

// link makes a relative address, which works under any prefix. pairs are names and
// values of its query; empty values are left out.
func link(page string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if page == "" {
		page = "./"
	}
	if len(q) == 0 {
		return page
	}
	return page + "?" + q.Encode()
}
