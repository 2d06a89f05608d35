package admin

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/connect"
)

// check compares what a formatter makes of each input.
func check[T any](t *testing.T, format func(T) string, cases []struct {
	in   T
	want string
},
) {
	t.Helper()
	for _, c := range cases {
		if got := format(c.in); got != c.want {
			t.Errorf("%v: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestSize(t *testing.T) {
	check(t, size, []struct {
		in   int64
		want string
	}{
		{-1, "–"},
		{math.MinInt64, "–"},
		{0, "0 B"},
		{1, "1 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{100 << 10, "100 KiB"},
		{1023 << 10, "1023 KiB"},
		{1<<20 - 1, "1.0 MiB"}, // not 1024 KiB
		{1 << 20, "1.0 MiB"},
		{100 << 20, "100 MiB"},
		{3 << 30, "3.0 GiB"},
		{5 << 40, "5.0 TiB"},
		{2 << 50, "2.0 PiB"},
		{math.MaxInt64, "8192 PiB"},
	})
}

func TestCount(t *testing.T) {
	check(t, count, []struct {
		in   int64
		want string
	}{
		{0, "0"},
		{7, "7"},
		{999, "999"},
		{1000, "1\u202f000"},
		{12345, "12\u202f345"},
		{123456, "123\u202f456"},
		{1234567, "1\u202f234\u202f567"},
		{-1, "−1"},
		{-999, "−999"},
		{-1000, "−1\u202f000"},
		{math.MaxInt64, "9\u202f223\u202f372\u202f036\u202f854\u202f775\u202f807"},
		{math.MinInt64, "−9\u202f223\u202f372\u202f036\u202f854\u202f775\u202f808"},
	})
}

func TestSpan(t *testing.T) {
	check(t, span, []struct {
		in   time.Duration
		want string
	}{
		{0, "0 s"},
		{900 * time.Nanosecond, "0 µs"},
		{time.Microsecond, "1 µs"},
		{999 * time.Microsecond, "999 µs"},
		{1500 * time.Microsecond, "1.5 ms"},
		{9900 * time.Microsecond, "9.9 ms"},
		{12 * time.Millisecond, "12 ms"},
		{999 * time.Millisecond, "999 ms"},
		{time.Second, "1.0 s"},
		{9999 * time.Millisecond, "9.9 s"}, // never more than has passed
		{10 * time.Second, "10 s"},
		{59900 * time.Millisecond, "59 s"},
		{time.Minute, "1 min"},
		{90 * time.Second, "1 min 30 s"},
		{10*time.Minute + 30*time.Second, "10 min"},
		{time.Hour, "1 h"},
		{3*time.Hour + 4*time.Minute, "3 h 4 min"},
		{49 * time.Hour, "2 d 1 h"},
		{20 * 24 * time.Hour, "20 d"},
		{365 * 24 * time.Hour, "1 y"},
		{400 * 24 * time.Hour, "1 y 35 d"},
		{-90 * time.Second, "−1 min 30 s"},
		{-time.Millisecond, "−1.0 ms"},
	})
}

func TestRelativeAndExact(t *testing.T) {
	now := time.Now()
	check(t, relative, []struct {
		in   time.Time
		want string
	}{
		{time.Time{}, "never"},
		{now, "now"},
		{now.Add(-500 * time.Millisecond), "now"},
		{now.Add(-5*time.Minute - 500*time.Millisecond), "5 min ago"},
		{now.Add(-50*time.Hour - time.Minute), "2 d 2 h ago"},
		{now.Add(time.Hour + time.Minute + 500*time.Millisecond), "in 1 h 1 min"},
	})
	check(t, exact, []struct {
		in   time.Time
		want string
	}{
		{time.Time{}, ""},
		{time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.UTC), "2026-02-03 04:05:06.007 UTC"},
		{time.Date(2026, 2, 3, 4, 5, 6, 0, time.FixedZone("CET", 3600)), "2026-02-03 03:05:06.000 UTC"},
	})
}

func TestPercent(t *testing.T) {
	check(t, func(in [2]int64) string { return percent(in[0], in[1]) }, []struct {
		in   [2]int64
		want string
	}{
		{[2]int64{0, 0}, "–"},
		{[2]int64{1, -1}, "–"},
		{[2]int64{0, 3}, "0.0 %"},
		{[2]int64{1, 3}, "33.3 %"},
		{[2]int64{3, 3}, "100.0 %"},
	})
}

func TestSlots(t *testing.T) {
	many := make([]connect.SlotRange, 9)
	for i := range many {
		many[i] = connect.SlotRange{From: 10 * i, To: 10*i + 1}
	}
	check(t, slots, []struct {
		in   []connect.SlotRange
		want string
	}{
		{nil, ""},
		{[]connect.SlotRange{{From: 7, To: 7}}, "7"},
		{[]connect.SlotRange{{From: 0, To: 5460}}, "0–5460"},
		{[]connect.SlotRange{{From: 0, To: 5460}, {From: 6000, To: 6000}}, "0–5460, 6000"},
		{many[:6], "0–1, 10–11, 20–21, 30–31, 40–41, 50–51"},
		{many, "0–1, 10–11, 20–21, 30–31, 40–41, and 4 more ranges"},
	})
}

func TestLink(t *testing.T) {
	check(t, func(in []string) string { return link(in[0], in[1:]...) }, []struct {
		in   []string
		want string
	}{
		{[]string{""}, "./"},
		{[]string{"", "conn", "a"}, "./?conn=a"},
		{[]string{"keys"}, "keys"},
		{[]string{"keys", "conn", ""}, "keys"},
		{[]string{"keys", "conn", "a", "match", ""}, "keys?conn=a"},
		{[]string{"key", "conn", "a", "key", "<\xff&\""}, "key?conn=a&key=%3C%FF%26%22"},
		{[]string{"key", "key", "//evil.example"}, "key?key=%2F%2Fevil.example"},
		{[]string{"key", "key", "javascript:alert(1)"}, "key?key=javascript%3Aalert%281%29"},
		{[]string{"key", "key", "a b+c#d"}, "key?key=a+b%2Bc%23d"},
		{[]string{"keys", "conn"}, "keys"}, // a name without a value
	})
}

// shown is a text as its page shows it, with escapes in brackets.
func shown(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		if p.Esc {
			b.WriteString("[" + p.Text + "]")
		} else {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

func TestPrintable(t *testing.T) {
	check(t, func(s string) string { return shown(printable(s)) }, []struct {
		in, want string
	}{
		{"", ""},
		{"plain: äöü 日本 €", "plain: äöü 日本 €"},
		{"<b>&amp;", "<b>&amp;"}, // templates escape
		{"a\x00b", `a[\x00]b`},
		{"\x1b[31mred", `[\x1b][31mred`},
		{"\x00\x1b\x7f", `[\x00\x1b\x7f]`}, // one piece
		{"\xff\xfe ok", `[\xff\xfe] ok`},
		{"cut \xe2\x82", `cut [\xe2\x82]`},
		{"line\nbreak\r\ttab", `line[\n]break[\r\t]tab`},
		{"gnp.\u202etxt.exe", `gnp.[\u202e]txt.exe`},
		{"zero\u200bwidth\u2060\ufeff", `zero[\u200b]width[\u2060\ufeff]`},
		{"\u2028\u2029", `[\u2028\u2029]`},
		{"a\u00a0b", "a\u00a0b"},           // a space that does not break
		{"e\u0301", "e\u0301"},             // an accent on its letter
		{"\u0301e", `[\u0301]e`},           // and one that would join the markup
		{"\U000e0041", `[\ue0041]`},        // tags, which are invisible
		{"\ufffd", "\ufffd"},               // the character, not an invalid byte
		{"\U0001f600", "\U0001f600"},       // no BMP
		{"\u0085\u009b", `[\u0085\u009b]`}, // C1 controls
	})
}

func TestLinesKeepTheirBreaks(t *testing.T) {
	if got, want := shown(pieces("a\nb\r\n", true)), "a[\\n]\nb[\\r\\n]\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := shown(prettyPieces("{\n  \"a\": \"\x01\"\n}")), "{\n  \"a\": \"[\\x01]\"\n}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlain(t *testing.T) {
	check(t, plain, []struct{ in, want string }{
		{"", ""},
		{"a<b>", "a<b>"},
		{"a\x00\u202e\n", `a\x00\u202e\n`},
	})
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 5, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"aé", 2, "a"},
		{"aéb", 3, "aé"},
		{"日本", 5, "日"},
		{"日本", 2, "日"[:2]}, // nothing else would be left
		{"\xff\xff\xff\xff\xff\xff", 5, "\xff\xff\xff\xff\xff"},
		{"a\xbf\xbf\xbf\xbf\xbf\xbf", 5, "a\xbf\xbf\xbf\xbf"},
	} {
		if got := cut(c.in, c.n); got != c.want {
			t.Errorf("%q to %d: got %q, want %q", c.in, c.n, got, c.want)
		}
	}
}
