package rules

import (
	"net/http"
	"testing"
	"time"
)

// fields makes a header of "Name: value" lines.
func fields(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		for i := range line {
			if line[i] == ':' {
				h.Add(line[:i], line[i+1:])
				break
			}
		}
	}
	return h
}

// at is a date so long after now.
func at(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }

func get(lines ...string) *http.Request {
	return &http.Request{Method: "GET", Header: fields(lines...)}
}

// all are rules that permit much.
func all() *Rules {
	return &Rules{Heuristic: true, MaxTTL: 365 * 24 * time.Hour, Retention: time.Hour, MaxBody: 1 << 20}
}

// How long a response is fresh (RFC 9111, section 4.2.1): of the first that is there of
// s-maxage, max-age and Expires less Date.
func TestFreshness(t *testing.T) {
	for name, tt := range map[string]struct {
		lines []string
		want  time.Duration
	}{
		"s-maxage":                      {[]string{"Cache-Control:max-age=60, s-maxage=10", "Expires:" + at(time.Hour)}, 10 * time.Second},
		"s-maxage of 0":                 {[]string{"Cache-Control:max-age=60, s-maxage=0"}, 0},
		"s-maxage that is no number":    {[]string{"Cache-Control:max-age=60, s-maxage=x"}, 0}, // encouraged to consider it stale
		"longer s-maxage":               {[]string{"Cache-Control:max-age=10, s-maxage=60"}, time.Minute},
		"max-age":                       {[]string{"Cache-Control:max-age=60", "Expires:" + at(time.Hour), "Date:" + at(0)}, time.Minute},
		"max-age before older Expires":  {[]string{"Cache-Control:max-age=60", "Expires:" + at(-time.Hour)}, time.Minute},
		"max-age is not from Date":      {[]string{"Cache-Control:max-age=60", "Date:" + at(-time.Hour)}, time.Minute}, // the age is, see InitialAge
		"Expires":                       {[]string{"Expires:" + at(90*time.Second), "Date:" + at(30*time.Second)}, time.Minute},
		"Expires without Date":          {[]string{"Expires:" + at(90*time.Second)}, 90 * time.Second},
		"Expires with an invalid Date":  {[]string{"Expires:" + at(90*time.Second), "Date:x"}, 90 * time.Second},
		"Expires before Date":           {[]string{"Expires:" + at(time.Hour), "Date:" + at(2*time.Hour)}, 0},
		"Expires: 0":                    {[]string{"Expires:0", "Date:" + at(0)}, 0},
		"Expires: -1":                   {[]string{"Expires:-1", "Cache-Control:public"}, 0},
		"two of Expires":                {[]string{"Expires:" + at(time.Minute), "Expires:" + at(time.Hour)}, 0},
		"Expires in an obsolete form":   {[]string{"Expires:" + now.Add(time.Minute).Format(time.ANSIC), "Date:" + at(0)}, time.Minute},
		"no-cache beside max-age":       {[]string{"Cache-Control:max-age=60, no-cache"}, 0},
		"a name that runs into another": {[]string{"Cache-Control:max-age;x=60"}, 0},
		"a name with a word":            {[]string{"Cache-Control:max-age x=60"}, 0},
		"an argument with more":         {[]string{"Cache-Control:max-age=60; x=1"}, 0},
	} {
		got := all().lifetimes(get(), Response{Status: 200, Header: fields(tt.lines...)}, all().TermsOf(200, fields(tt.lines...), now), now)
		if got.Fresh != tt.want || got.Implicit {
			t.Errorf("%s: fresh for %v, implicit %v, want %v, explicit", name, got.Fresh, got.Implicit, tt.want)
		}
	}
}

// A tenth of the time since Last-Modified, at most a day (RFC 9111, section 4.2.2), where
// nothing is said and the status permits it.
func TestHeuristicFreshness(t *testing.T) {
	modified := "Last-Modified:" + at(-10*time.Hour)
	for name, tt := range map[string]struct {
		request, lines []string
		status         int
		want           time.Duration
		implicit       bool
		off            bool
	}{
		"a tenth":                {lines: []string{modified}, want: time.Hour, implicit: true},
		"since Date":             {lines: []string{modified, "Date:" + at(-5*time.Hour)}, want: 30 * time.Minute, implicit: true},
		"a day at most":          {lines: []string{"Last-Modified:" + at(-100*24*time.Hour)}, want: 24 * time.Hour, implicit: true},
		"from the future":        {lines: []string{"Last-Modified:" + at(time.Hour)}, implicit: true},
		"no date":                {lines: []string{"Last-Modified:x"}, implicit: true},
		"no Last-Modified":       {lines: []string{`ETag:"a"`}, implicit: true},
		"switched off":           {lines: []string{modified}, implicit: true, off: true},
		"max-age=0":              {lines: []string{modified, "Cache-Control:max-age=0"}},
		"an invalid Expires":     {lines: []string{modified, "Expires:0"}},
		"no-cache":               {lines: []string{modified, "Cache-Control:no-cache"}},
		"public":                 {lines: []string{modified, "Cache-Control:public"}, want: time.Hour},
		"public, of a 500":       {lines: []string{modified, "Cache-Control:public"}, status: 500, want: time.Hour}, // explicitly cacheable
		"another directive":      {lines: []string{modified, "Cache-Control:must-revalidate"}, want: time.Hour, implicit: true},
		"with a cookie":          {request: []string{"Cookie:a=b"}, lines: []string{modified}},
		"public, with a cookie":  {request: []string{"Cookie:a=b"}, lines: []string{modified, "Cache-Control:public"}, want: time.Hour},
		"max-age, with a cookie": {request: []string{"Cookie:a=b"}, lines: []string{modified, "Cache-Control:max-age=5"}, want: 5 * time.Second},
	} {
		rs := all()
		rs.Heuristic = !tt.off
		res := Response{Status: max(tt.status, 200), Header: fields(tt.lines...)}
		got := rs.lifetimes(get(tt.request...), res, rs.Terms(res, now), now)
		if got.Fresh != tt.want || got.Implicit != tt.implicit {
			t.Errorf("%s: fresh for %v, implicit %v, want %v, %v", name, got.Fresh, got.Implicit, tt.want, tt.implicit)
		}
	}
	// RFC 9110, section 15.1, of those that are stored whole.
	cacheable := map[int]bool{200: true, 203: true, 204: true, 300: true, 301: true, 308: true, 404: true, 405: true, 410: true, 414: true, 501: true}
	for status := 200; status < 600; status++ {
		res := Response{Status: status, Header: fields(modified, `ETag:"a"`)}
		got := all().lifetimes(get(), res, all().Terms(res, now), now)
		if got.Fresh > 0 != cacheable[status] || got.Keep > 0 != cacheable[status] {
			t.Errorf("%d: fresh for %v and kept for %v by default, want any: %v", status, got.Fresh, got.Keep, cacheable[status])
		}
	}
}

// The default lifetime is of successful responses that say nothing at all.
func TestDefaultTTL(t *testing.T) {
	for name, tt := range map[string]struct {
		request, lines []string
		status         int
		want           time.Duration
	}{
		"200":                     {status: 200, want: time.Minute},
		"203":                     {status: 203, want: time.Minute},
		"204":                     {status: 204, want: time.Minute},
		"before a guess":          {lines: []string{"Last-Modified:" + at(-10*time.Hour)}, status: 200, want: time.Minute},
		"404":                     {status: 404},
		"301":                     {status: 301},
		"302":                     {status: 302},
		"500":                     {status: 500},
		"any directive":           {lines: []string{"Cache-Control:x-any"}, status: 200},
		"an empty Cache-Control":  {lines: []string{"Cache-Control:"}, status: 200, want: time.Minute},
		"no-cache":                {lines: []string{"Cache-Control:no-cache"}, status: 200},
		"Pragma":                  {lines: []string{"Pragma:no-cache"}, status: 200},
		"Expires in the past":     {lines: []string{"Expires:" + at(-time.Hour)}, status: 200},
		"a request with a cookie": {request: []string{"Cookie:a=b"}, status: 200},
	} {
		rs := all()
		rs.DefaultTTL = time.Minute
		res := Response{Status: tt.status, Header: fields(tt.lines...)}
		got := rs.lifetimes(get(tt.request...), res, rs.Terms(res, now), now)
		if got.Fresh != tt.want || got.Fresh > 0 && !got.Implicit {
			t.Errorf("%s: fresh for %v, implicit %v, want %v", name, got.Fresh, got.Implicit, tt.want)
		}
	}
}

// A response has an age when it comes (RFC 9111, sections 4.2.3 and 5.1).
func TestInitialAge(t *testing.T) {
	for name, tt := range map[string]struct {
		lines []string
		want  time.Duration
	}{
		"none":                          {nil, 0},
		"Age":                           {[]string{"Age:60"}, time.Minute},
		"Age with white space":          {[]string{"Age: 60\t"}, time.Minute},
		"Age that is a list":            {[]string{"Age:60, 10"}, time.Minute}, // the first
		"two of Age":                    {[]string{"Age:10", "Age:60"}, 10 * time.Second},
		"Age that is negative":          {[]string{"Age:-60"}, 0},
		"Age that is no number":         {[]string{"Age:x, 60"}, 0},
		"Age that is a decimal":         {[]string{"Age:1.5"}, 0},
		"Age that is very long":         {[]string{"Age:99999999999999999999"}, 1 << 31 * time.Second},
		"Date":                          {[]string{"Date:" + at(-time.Minute)}, time.Minute},
		"Date in the future":            {[]string{"Date:" + at(time.Minute)}, 0},
		"Date in the future beside Age": {[]string{"Date:" + at(time.Minute), "Age:5"}, 5 * time.Second},
		"Date that is none":             {[]string{"Date:x"}, 0},
		"older by Date":                 {[]string{"Date:" + at(-time.Minute), "Age:5"}, time.Minute},
		"older by Age":                  {[]string{"Date:" + at(-5*time.Second), "Age:60"}, time.Minute},
	} {
		if got := InitialAge(fields(tt.lines...), now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	// Date has seconds alone: a part of one is no age.
	if got := InitialAge(fields("Date:"+at(0)), now.Add(999*time.Millisecond)); got != 0 {
		t.Errorf("in the second of its Date: %v, want 0", got)
	}
}

// How long a response may be used, and is kept, beyond its freshness (RFC 5861; RFC 9111, section 4.2.4).
func TestLivesBeyondFreshness(t *testing.T) {
	const second = time.Second
	for name, tt := range map[string]struct {
		lines []string
		age   time.Duration
		want  Lives
	}{
		"fresh alone":                 {[]string{"Cache-Control:max-age=60"}, 0, Lives{Fresh: 60 * second, Keep: 60 * second}},
		"less its age":                {[]string{"Cache-Control:max-age=60"}, 20 * second, Lives{Fresh: 40 * second, Keep: 40 * second}},
		"older than that":             {[]string{"Cache-Control:max-age=60"}, 90 * second, Lives{}},
		"stale-while-revalidate":      {[]string{"Cache-Control:max-age=60, stale-while-revalidate=30"}, 0, Lives{Fresh: 60 * second, StaleWhileRevalidate: 30 * second, Keep: 90 * second}},
		"stale-if-error":              {[]string{"Cache-Control:max-age=60, stale-if-error=30"}, 0, Lives{Fresh: 60 * second, StaleIfError: 30 * second, Keep: 90 * second}},
		"the longer of both":          {[]string{"Cache-Control:max-age=60, stale-while-revalidate=10, stale-if-error=30"}, 0, Lives{Fresh: 60 * second, StaleWhileRevalidate: 10 * second, StaleIfError: 30 * second, Keep: 90 * second}},
		"stale, and then by an error": {[]string{"Cache-Control:max-age=0, stale-if-error=30"}, 0, Lives{StaleIfError: 30 * second, Keep: 30 * second}},
		"must-revalidate":             {[]string{"Cache-Control:max-age=60, stale-while-revalidate=30, stale-if-error=30, must-revalidate"}, 0, Lives{Fresh: 60 * second, Keep: 60 * second, Strict: true}},
		"proxy-revalidate":            {[]string{"Cache-Control:max-age=60, stale-if-error=30, proxy-revalidate"}, 0, Lives{Fresh: 60 * second, Keep: 60 * second, Strict: true}},
		"s-maxage":                    {[]string{"Cache-Control:s-maxage=60, stale-if-error=30"}, 0, Lives{Fresh: 60 * second, Keep: 60 * second, Strict: true}}, // section 5.2.2.10
		"no-cache":                    {[]string{"Cache-Control:no-cache, max-age=60, stale-if-error=30", `ETag:"a"`}, 0, Lives{Keep: time.Hour, Strict: true}},
		"with an ETag":                {[]string{"Cache-Control:max-age=60", `ETag:"a"`}, 0, Lives{Fresh: 60 * second, Keep: time.Hour + 60*second}},
		"with Last-Modified":          {[]string{"Cache-Control:max-age=60", "Last-Modified:" + at(-time.Hour)}, 0, Lives{Fresh: 60 * second, Keep: time.Hour + 60*second}},
		"stale for longer than kept":  {[]string{"Cache-Control:max-age=60, stale-if-error=7200", `ETag:"a"`}, 0, Lives{Fresh: 60 * second, StaleIfError: 7200 * second, Keep: 7260 * second}},
		"stale already, with an ETag": {[]string{"Cache-Control:max-age=0", `ETag:"a"`}, 0, Lives{Keep: time.Hour}},
	} {
		res := Response{Status: 200, Header: fields(tt.lines...), Age: tt.age}
		if got := all().lifetimes(get(), res, all().Terms(res, now), now); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// The maximum bounds each lifetime; a response that is older than it is not fresh for longer.
func TestMaxTTLBounds(t *testing.T) {
	rs := all()
	rs.MaxTTL = 10 * time.Second
	for name, tt := range map[string]struct {
		lines []string
		age   time.Duration
		want  Lives
	}{
		"fresh":      {[]string{"Cache-Control:max-age=60"}, 0, Lives{Fresh: 10 * time.Second, Keep: 10 * time.Second}},
		"of an age":  {[]string{"Cache-Control:max-age=60"}, 55 * time.Second, Lives{Fresh: 5 * time.Second, Keep: 5 * time.Second}},
		"stale":      {[]string{"Cache-Control:max-age=5, stale-while-revalidate=60, stale-if-error=90"}, 0, Lives{Fresh: 5 * time.Second, StaleWhileRevalidate: 10 * time.Second, StaleIfError: 10 * time.Second, Keep: 15 * time.Second}},
		"a guess":    {[]string{"Last-Modified:" + at(-10*time.Hour)}, 0, Lives{Fresh: 10 * time.Second, Keep: time.Hour + 10*time.Second, Implicit: true}},
		"very large": {[]string{"Cache-Control:max-age=99999999999999999999, stale-if-error=99999999999999999999"}, 0, Lives{Fresh: 10 * time.Second, StaleIfError: 10 * time.Second, Keep: 20 * time.Second}},
	} {
		res := Response{Status: 200, Header: fields(tt.lines...), Age: tt.age}
		if got := rs.lifetimes(get(), res, rs.Terms(res, now), now); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
	rs.MaxTTL = 1<<63 - 1
	res := Response{Status: 200, Header: fields("Cache-Control:max-age=99999999999999999999, stale-if-error=99999999999999999999", `ETag:"a"`)}
	if got, want := rs.lifetimes(get(), res, rs.Terms(res, now), now), 1<<31*time.Second; got.Fresh != want || got.Keep != 2*want {
		t.Errorf("without a bound: %+v, want %v and that again", got, want)
	}
}

func TestServesFromTheStore(t *testing.T) {
	for name, tt := range map[string]struct {
		lives  Lives
		serves bool
		beyond time.Duration
	}{
		"fresh":                   {Lives{Fresh: 1}, true, 0},
		"fresh and strict":        {Lives{Fresh: 1, Strict: true}, true, 0},
		"not fresh":               {Lives{Keep: time.Hour, StaleIfError: time.Hour}, false, 0},
		"stale, while refreshed":  {Lives{StaleWhileRevalidate: time.Second}, true, time.Second},
		"the same, and strict":    {Lives{StaleWhileRevalidate: time.Second, Strict: true}, false, 0},
		"fresh, then for a while": {Lives{Fresh: 1, StaleWhileRevalidate: time.Second}, true, time.Second},
	} {
		if got := tt.lives.Serves(); got != tt.serves {
			t.Errorf("%s: serves %v, want %v", name, got, tt.serves)
		}
		if got := tt.lives.Beyond(); got != tt.beyond {
			t.Errorf("%s: %v beyond, want %v", name, got, tt.beyond)
		}
	}
}
