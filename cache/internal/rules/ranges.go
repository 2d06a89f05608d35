package rules

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxRanges is how many ranges of one response are sent at once. More are
// ignored: each could cost a look at another piece of the body.
const maxRanges = 32

// byteRange is a range of a body, the last byte included.
type byteRange struct{ first, last int64 }

// ranges reads the Range field for a body of this size (RFC 9110, section
// 14.1.2). ignore says that the whole is sent: another unit, a value that is
// not valid, more ranges than are worth it. No range means that none is satisfiable.
func ranges(lines []string, size int64) (all []byteRange, ignore bool) {
	if len(lines) != 1 {
		return nil, true
	}
	unit, set, ok := strings.Cut(strings.Trim(lines[0], ows), "=")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return nil, true
	}
	specs := 0
	for spec := range strings.SplitSeq(set, ",") {
		if spec = strings.Trim(spec, ows); spec == "" {
			continue
		}
		if specs++; specs > maxRanges {
			return nil, true
		}
		r, ok := readRange(spec, size)
		if !ok {
			return nil, true
		}
		if r.first <= r.last {
			all = append(all, r)
		}
	}
	return all, specs == 0 || size == 0 || overlapping(all)
}

// readRange reads first-last, first- or -length. A range that cannot be
// satisfied ends before it begins.
func readRange(spec string, size int64) (r byteRange, ok bool) {
	first, last, ok := strings.Cut(spec, "-")
	if !ok || first == "" && last == "" {
		return r, false
	}
	if first == "" {
		n, ok := position(last)
		return byteRange{max(size-n, 0), size - 1}, ok // none for a length of 0
	}
	from, ok := position(first)
	to := int64(math.MaxInt64)
	if ok && last != "" {
		to, ok = position(last)
	}
	if !ok || to < from {
		return r, false
	}
	return byteRange{from, min(to, size-1)}, true
}

// position reads a number of any length.
func position(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	return n, true
}

// overlapping reports whether more than two ranges overlap, which no client
// that means well asks for (section 14.2).
func overlapping(all []byteRange) bool {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b byteRange) int { return int(min(max(a.first-b.first, -1), 1)) })
	n := 0
	for i := 1; i < len(sorted); i++ {
		if sorted[i].first <= sorted[i-1].last {
			n++
		}
	}
	return n > 1
}

// Servable returns a request for [http.ServeContent], which reads some fields in another
// way than RFC 9110: it has Range only for GET (section 14.2) and as read here, If-Range
// only with a strong validator, and list fields in one line. h is the stored header.
// The request that is given does not change.
func Servable(r *http.Request, h http.Header, size int64) *http.Request {
	if len(r.Header["Range"]) == 0 && len(r.Header["If-None-Match"]) < 2 && len(r.Header["If-Match"]) < 2 {
		return r
	}
	out := r.WithContext(r.Context())
	out.Header = r.Header.Clone()
	for _, name := range []string{"If-None-Match", "If-Match"} {
		if lines := r.Header[name]; len(lines) > 1 {
			out.Header[name] = []string{strings.Join(lines, ", ")}
		}
	}
	all, ignore := ranges(r.Header["Range"], size)
	if ignore || r.Method != http.MethodGet || !strongIfRange(r.Header["If-Range"], h) {
		delete(out.Header, "Range")
		return out
	}
	specs := make([]string, len(all))
	for i, b := range all {
		specs[i] = strconv.FormatInt(b.first, 10) + "-" + strconv.FormatInt(b.last, 10)
	}
	if len(specs) == 0 { // one that ServeContent finds unsatisfiable too
		specs = []string{strconv.FormatInt(size, 10) + "-"}
	}
	out.Header["Range"] = []string{"bytes=" + strings.Join(specs, ",")}
	return out
}

// strongIfRange reports whether If-Range can be true at all (RFC 9110, section
// 13.1.5): a date must be older than the response by a second, for within one a
// body can change twice (section 8.8.2.2).
func strongIfRange(lines []string, h http.Header) bool {
	if len(lines) != 1 {
		return len(lines) == 0
	}
	value := strings.Trim(lines[0], ows)
	if strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "W/") {
		return !strings.HasPrefix(value, "W/")
	}
	modified, err := parseTime(h.Get("Last-Modified"))
	made, err2 := parseTime(h.Get("Date"))
	return err == nil && err2 == nil && made.Sub(modified) >= time.Second
}
