package admin

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// Replies of preview.lua, and what no server should send.
func TestDecodeAPreview(t *testing.T) {
	for name, c := range map[string]struct {
		kind  string
		reply []any
		next  string
		rows  [][]clipped
		wrong bool
	}{
		"empty":             {"list", []any{""}, "", nil, false},
		"list":              {"list", []any{"100", int64(1), "a", int64(700), "bb"}, "100", [][]clipped{{{"a", 1}}, {{"bb", 700}}}, false},
		"set":               {"set", []any{"", int64(1), "a"}, "", [][]clipped{{{"a", 1}}}, false},
		"hash":              {"hash", []any{"7", int64(1), "f", int64(1), "v"}, "7", [][]clipped{{{"f", 1}, {"v", 1}}}, false},
		"zset":              {"zset", []any{"", int64(1), "m", int64(3), "1.5"}, "", [][]clipped{{{"m", 1}, {"1.5", 3}}}, false},
		"stream":            {"stream", []any{"(1-1", int64(3), int64(3), "1-1", int64(1), "f", int64(1), "v"}, "(1-1", [][]clipped{{{"1-1", 3}, {"f", 1}, {"v", 1}}}, false},
		"entry of no field": {"stream", []any{"", int64(1), int64(3), "1-1"}, "", [][]clipped{{{"1-1", 3}}}, false},
		"nothing":           {"list", nil, "", nil, true},
		"no cursor":         {"list", []any{int64(1)}, "", nil, true},
		"half a text":       {"list", []any{"", int64(1)}, "", nil, true},
		"half a pair":       {"hash", []any{"", int64(1), "f"}, "", nil, true},
		"swapped":           {"list", []any{"", "a", int64(1)}, "", nil, true},
		"no number":         {"stream", []any{"", "3", int64(3), "1-1"}, "", nil, true},
		"zero fields":       {"stream", []any{"", int64(0)}, "", nil, true},
		"too many fields":   {"stream", []any{"", int64(9), int64(3), "1-1"}, "", nil, true},
		"negative":          {"stream", []any{"", int64(-1), int64(3), "1-1"}, "", nil, true},
		"nil text":          {"set", []any{"", int64(1), nil}, "", nil, true},
	} {
		v := preview{Columns: columns[c.kind]}
		err := v.decode(c.kind, c.reply)
		if c.wrong {
			if !errors.Is(err, errReply) {
				t.Errorf("%s: got %v, want errReply", name, err)
			}
			continue
		}
		if err != nil || v.Next != c.next || !slices.EqualFunc(v.Rows, c.rows, slices.Equal) {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
	}
}

func TestClipped(t *testing.T) {
	if (clipped{"abc", 3}).Cut() || !(clipped{"abc", 4}).Cut() {
		t.Error("a text is cut if there is more of it")
	}
}

// Places in a value come back in links, so anything may stand there.
func TestPlacesInAValue(t *testing.T) {
	for kind, c := range map[string]struct{ good, bad []string }{
		"hash":   {[]string{"0", "18446744073709551615"}, []string{"", "-1", "a", "1 2", "184467440737095516150"}},
		"set":    {[]string{"0", "7"}, []string{"-", "0x1"}},
		"list":   {[]string{"0", "100"}, []string{"-1", "1e3", "1234567890123456"}},
		"zset":   {[]string{"0", "100"}, []string{"(1", "+inf"}},
		"stream": {[]string{"-", "1-1", "(1700000000000-0"}, []string{"+", "1", "((1-1", "1-1-1", "1-x"}},
	} {
		for _, place := range c.good {
			if !places[kind].MatchString(place) {
				t.Errorf("%s: %q is refused", kind, place)
			}
		}
		for _, place := range c.bad {
			if places[kind].MatchString(place) {
				t.Errorf("%s: %q is accepted", kind, place)
			}
		}
		if !places[kind].MatchString(begins[kind]) || len(columns[kind]) == 0 || lengthOf[kind] == "" {
			t.Errorf("%s: it cannot begin", kind)
		}
	}
}

func TestCursors(t *testing.T) {
	for _, c := range []cursor{{}, {"", 17}, {"127.0.0.1:7000", 1 << 63}, {"[::1]:6379", 0}} {
		if got, err := parseCursor(c.String()); err != nil || got != c {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "no base64": "*", "one byte": "AQ", "another version": "AgA", "padded": "AQA=", "not the shortest number": "AYAA",
		"an endless number": "Af______________w", "long": (cursor{addr: string(make([]byte, 400))}).String(),
	} {
		if got, err := parseCursor(text); !errors.Is(err, errBad) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestPartOfASearch(t *testing.T) {
	for _, c := range []struct{ looked, total, want int64 }{{0, 0, 0}, {50, 200, 25}, {500, 200, 100}, {5, 0, 100}} {
		if got := (found{Looked: c.looked, Total: c.total}).Part(); got != c.want {
			t.Errorf("%d of %d: got %d, want %d", c.looked, c.total, got, c.want)
		}
	}
}

func TestFactsThatAreSaid(t *testing.T) {
	d, now := &decoded{}, time.Now()
	d.say("a", "1")
	d.say("b", "")
	d.when("c", now)
	d.when("d", time.Time{})
	if !slices.Equal(d.Facts, []fact{{"a", "1"}}) || !slices.Equal(d.Times, []moment{{"c", now}}) {
		t.Errorf("got %+v", d)
	}
}
