package rules

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The Range field for a body of ten bytes (RFC 9110, section 14.1.2).
func TestRanges(t *testing.T) {
	const huge = "99999999999999999999999"
	for field, want := range map[string][]byteRange{
		"bytes=0-0":            {{0, 0}},
		"bytes=0-9":            {{0, 9}},
		"bytes=2-5":            {{2, 5}},
		"bytes=9-":             {{9, 9}},
		"bytes=0-":             {{0, 9}},
		"bytes=5-100":          {{5, 9}}, // more than there is: to the end
		"bytes=5-" + huge:      {{5, 9}},
		"bytes=-1":             {{9, 9}},
		"bytes=-10":            {{0, 9}},
		"bytes=-11":            {{0, 9}},
		"bytes=-" + huge:       {{0, 9}},
		"bytes=0-1,4-5":        {{0, 1}, {4, 5}},
		"bytes=4-5 ,\t0-1":     {{4, 5}, {0, 1}}, // in the order of the client
		"bytes=0-1,,4-5,":      {{0, 1}, {4, 5}},
		"BYTES=0-1":            {{0, 1}},
		" bytes=0-1\t":         {{0, 1}},
		"bytes=00000000000-01": {{0, 1}},
		"bytes=0-1,20-30":      {{0, 1}}, // one that can be satisfied
		"bytes=0-5,3-8":        {{0, 5}, {3, 8}},
		"bytes=10-":            {}, // none that can
		"bytes=10-20,-0":       {},
		"bytes=" + huge + "-":  {},
		"bytes=-0":             {},
	} {
		got, ignore := ranges([]string{field}, 10)
		if ignore || !slices.Equal(got, want) {
			t.Errorf("%q: %v, ignored %v, want %v", field, got, ignore, want)
		}
	}
	for _, field := range []string{
		"", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=--1", "bytes=1", "bytes=5-2", "bytes=a-b", "bytes=1-b", "bytes=+1-2", "bytes=1-+2", "bytes=-+1", "bytes=0x1-0x2", "bytes=1-2-3",
		"bytes=1 - 2", "bytes:0-1", "bytes 0-1", "items=0-1", "bytes =0-1", "bytes=0-1,x", "bytes=0-1,5-2", "bytes=0-1;4-5",
		"bytes=0-,1-,2-", "bytes=0-9,0-9,0-9", "bytes=2-,1-,0-", // more than two that overlap
	} {
		if got, ignore := ranges([]string{field}, 10); !ignore {
			t.Errorf("%q: %v, want it ignored", field, got)
		}
	}
	if _, ignore := ranges(nil, 10); !ignore {
		t.Error("no field: want it ignored")
	}
	if got, ignore := ranges([]string{"bytes=0-1", "bytes=4-5"}, 10); !ignore {
		t.Errorf("two fields: %v, want them ignored", got)
	}
	if _, ignore := ranges([]string{"bytes=0-"}, 0); !ignore {
		t.Error("of an empty body: want it ignored")
	}
}

// Each range can cost a read: with more than 32 of them the whole is sent.
func TestManyRanges(t *testing.T) {
	field := func(n int) []string {
		specs := make([]string, n)
		for i := range specs {
			specs[i] = fmt.Sprintf("%d-%d", 2*i, 2*i)
		}
		return []string{"bytes=" + strings.Join(specs, ",")}
	}
	if got, ignore := ranges(field(32), 1000); ignore || len(got) != 32 {
		t.Errorf("32: %d of them, ignored %v", len(got), ignore)
	}
	if _, ignore := ranges(field(33), 1000); !ignore {
		t.Error("33 are not ignored")
	}
	if _, ignore := ranges(field(33), 10); !ignore {
		t.Error("33, of which 28 cannot be satisfied, are not ignored")
	}
}

// If-Range with a strong validator (RFC 9110, section 13.1.5): a date is one when the
// response was made a second later at least (section 8.8.2.2).
func TestIfRangeNeedsAStrongValidator(t *testing.T) {
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	stored := http.Header{"Etag": {`"a"`}, "Last-Modified": {at(0)}, "Date": {at(time.Second)}}
	for name, tt := range map[string]struct {
		lines []string
		h     http.Header
		want  bool
	}{
		"none":                     {nil, stored, true},
		"strong":                   {[]string{`"a"`}, stored, true},
		"strong, white space":      {[]string{` "a" `}, stored, true},
		"weak":                     {[]string{`W/"a"`}, stored, false},
		"two":                      {[]string{`"a"`, `"a"`}, stored, false},
		"empty":                    {[]string{""}, http.Header{}, false},
		"date":                     {[]string{at(0)}, stored, true},
		"date, of the same second": {[]string{at(0)}, http.Header{"Last-Modified": {at(0)}, "Date": {at(0)}}, false},
		"date, from the future":    {[]string{at(0)}, http.Header{"Last-Modified": {at(0)}, "Date": {at(-time.Hour)}}, false},
		"date, no Last-Modified":   {[]string{at(0)}, http.Header{"Date": {at(time.Hour)}}, false},
		"date, no Date":            {[]string{at(0)}, http.Header{"Last-Modified": {at(0)}}, false},
	} {
		if got := strongIfRange(tt.lines, tt.h); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// What clients get from http.ServeContent of a servable request, over the ten bytes 0 to 9.
func TestServable(t *testing.T) {
	const body = "0123456789"
	modified := now.Add(-time.Hour)
	stored := http.Header{"Etag": {`"a"`}, "Last-Modified": {modified.Format(http.TimeFormat)}, "Date": {now.Format(http.TimeFormat)}, "Content-Type": {"text/plain"}}
	for name, tt := range map[string]struct {
		method string
		fields http.Header
		status int
		want   string // the body, of multiple ranges the parts
	}{
		"no condition":                  {"GET", http.Header{}, 200, body},
		"range":                         {"GET", http.Header{"Range": {"bytes=2-4"}}, 206, "234"},
		"suffix":                        {"GET", http.Header{"Range": {"bytes=-3"}}, 206, "789"},
		"suffix, longer than the body":  {"GET", http.Header{"Range": {"bytes=-300"}}, 206, body},
		"two ranges":                    {"GET", http.Header{"Range": {"bytes=0-1, 5-6"}}, 206, "01|56"},
		"unit in upper case":            {"GET", http.Header{"Range": {"Bytes=2-4"}}, 206, "234"},
		"empty members":                 {"GET", http.Header{"Range": {"bytes=,2-4,"}}, 206, "234"},
		"none satisfiable":              {"GET", http.Header{"Range": {"bytes=10-"}}, 416, ""},
		"none satisfiable, suffix of 0": {"GET", http.Header{"Range": {"bytes=-0"}}, 416, ""},
		"one satisfiable":               {"GET", http.Header{"Range": {"bytes=-0,2-3,50-"}}, 206, "23"},
		"invalid":                       {"GET", http.Header{"Range": {"bytes=4-2"}}, 200, body},
		"invalid for net/http alone":    {"GET", http.Header{"Range": {"bytes=1 - 2"}}, 200, body},
		"another unit":                  {"GET", http.Header{"Range": {"lines=1-2"}}, 200, body},
		"two fields":                    {"GET", http.Header{"Range": {"bytes=0-1", "bytes=2-3"}}, 200, body},
		"HEAD":                          {"HEAD", http.Header{"Range": {"bytes=2-4"}}, 200, ""}, // section 14.2: for GET alone
		"If-Range":                      {"GET", http.Header{"Range": {"bytes=2-4"}, "If-Range": {`"a"`}}, 206, "234"},
		"If-Range, another":             {"GET", http.Header{"Range": {"bytes=2-4"}, "If-Range": {`"b"`}}, 200, body},
		"If-Range, weak":                {"GET", http.Header{"Range": {"bytes=2-4"}, "If-Range": {`W/"a"`}}, 200, body},
		"If-Range, date":                {"GET", http.Header{"Range": {"bytes=2-4"}, "If-Range": {modified.Format(http.TimeFormat)}}, 206, "234"},
		"If-Range, later date":          {"GET", http.Header{"Range": {"bytes=2-4"}, "If-Range": {now.Format(http.TimeFormat)}}, 200, body},
		"If-None-Match":                 {"GET", http.Header{"If-None-Match": {`"x", W/"a"`}}, 304, ""},
		"If-None-Match, second line":    {"GET", http.Header{"If-None-Match": {`"x"`, `W/"a"`}}, 304, ""},
		"If-None-Match, neither line":   {"GET", http.Header{"If-None-Match": {`"x"`, `"y"`}}, 200, body},
		"If-Match, second line":         {"GET", http.Header{"If-Match": {`"x"`, `"a"`}}, 200, body},
		"If-Match, neither line":        {"GET", http.Header{"If-Match": {`"x"`, `"y"`}}, 412, ""},
		"If-None-Match before Range":    {"GET", http.Header{"If-None-Match": {`"x"`, `"a"`}, "Range": {"bytes=2-4"}}, 304, ""},
	} {
		r := httptest.NewRequest(tt.method, "/", nil)
		r.Header = tt.fields
		before := r.Header.Clone()
		w := httptest.NewRecorder()
		maps.Copy(w.Header(), stored)
		http.ServeContent(w, Servable(r, stored, int64(len(body))), "", modified, strings.NewReader(body))
		got := w.Body.String()
		if parts, ok := strings.CutPrefix(w.Header().Get("Content-Type"), "multipart/byteranges; boundary="); ok {
			got = partsOf(got, parts)
		}
		if w.Code >= 400 {
			got = "" // the words of net/http
		}
		if w.Code != tt.status || got != tt.want {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, got, tt.status, tt.want)
		}
		if fmt.Sprint(r.Header) != fmt.Sprint(before) {
			t.Errorf("%s: the request of the handler has %v, want %v", name, r.Header, before)
		}
	}
}

func partsOf(body, boundary string) string {
	var parts []string
	for part := range strings.SplitSeq(body, "--"+boundary) {
		if _, content, ok := strings.Cut(part, "\r\n\r\n"); ok {
			parts = append(parts, strings.TrimSuffix(content, "\r\n"))
		}
	}
	return strings.Join(parts, "|")
}

// FuzzServable: whatever a client sends, each byte it gets is at the place that
// Content-Range names, and no response is much larger than the body.
func FuzzServable(f *testing.F) {
	for _, seed := range [][3]string{{"bytes=0-1,4-5", "", ""}, {"bytes=-0", `"a"`, ""}, {"bytes=5-", `W/"a"`, `"b"`}, {"Bytes = 1-2", "Sun, 06 Nov 1994 08:49:37 GMT", "*"}, {"bytes=0-,0-", "", `"a`}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	body := strings.Repeat("0123456789abcdef", 64)
	f.Fuzz(func(t *testing.T, field, ifRange, noneMatch string) {
		r := httptest.NewRequest("GET", "/", nil)
		for name, value := range map[string]string{"Range": field, "If-Range": ifRange, "If-None-Match": noneMatch} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		w := httptest.NewRecorder()
		w.Header()["Etag"] = []string{`"a"`}
		http.ServeContent(w, Servable(r, http.Header{"Etag": {`"a"`}}, int64(len(body))), "x.txt", time.Time{}, strings.NewReader(body))
		got, _ := io.ReadAll(w.Body)
		switch w.Code {
		case 200:
			if string(got) != body {
				t.Errorf("%q: %d bytes", field, len(got))
			}
		case 206:
			if strings.HasPrefix(strings.TrimSpace(ifRange), "W/") || len(got) > 2*len(body)+maxRanges*200 {
				t.Errorf("%q, If-Range %q: %d bytes of %d", field, ifRange, len(got), len(body))
			}
			if at, ok := strings.CutPrefix(w.Header().Get("Content-Range"), "bytes "); ok {
				first, _, _ := strings.Cut(at, "-")
				if i, err := strconv.Atoi(first); err != nil || !strings.HasPrefix(body[i:], string(got)) {
					t.Errorf("%q: %q is not at %s", field, got, at)
				}
			}
		case 304, 416:
		default:
			t.Errorf("%q, %q, %q: %d", field, ifRange, noneMatch, w.Code)
		}
	})
}
