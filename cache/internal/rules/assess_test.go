package rules

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Why a response must not be stored (RFC 9111, section 3), "" if it may be.
func TestReasonsNotToStore(t *testing.T) {
	const fresh = "Cache-Control:max-age=60"
	many := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("X-%d", i))
		}
		return "Vary:" + strings.Join(names, ",")
	}
	for name, tt := range map[string]struct {
		method   string
		request  []string
		status   int
		lines    []string
		around   []string
		personal bool
		want     string
	}{
		"fresh":                           {lines: []string{fresh}},
		"POST":                            {method: "POST", lines: []string{fresh}, want: "method"},
		"HEAD":                            {method: "HEAD", lines: []string{fresh}, want: "method"}, // it has no body to store
		"in lower case":                   {method: "get", lines: []string{fresh}, want: "method"},
		"no status":                       {status: -1, lines: []string{fresh}, want: "nothing-written"},
		"interim":                         {status: 103, lines: []string{fresh}, want: "status"},
		"partial":                         {status: 206, lines: []string{fresh}, want: "status"},
		"not modified":                    {status: 304, lines: []string{fresh}, want: "status"},
		"an error":                        {status: 500, lines: []string{fresh}},
		"an unknown status":               {status: 599, lines: []string{fresh}},
		"an unknown one to be understood": {status: 599, lines: []string{fresh + ", must-understand"}, want: "status"}, // section 5.2.2.3
		"an understood one":               {lines: []string{fresh + ", must-understand, no-store"}},
		"understood, but private":         {lines: []string{fresh + ", must-understand, no-store, private"}, want: "private"},
		"Set-Cookie":                      {lines: []string{fresh + ", public", "Set-Cookie:a=b"}, want: "set-cookie"},
		"Set-Cookie around":               {lines: []string{fresh}, around: []string{"Set-Cookie:a=b"}, want: "set-cookie"},
		"trailer":                         {lines: []string{fresh, "Trailer:X-Sum"}, want: "trailer"},
		"no-store":                        {lines: []string{fresh + ", no-store"}, want: "no-store"},
		"no-store, with an argument":      {lines: []string{fresh + `, no-store="x"`}, want: "no-store"},
		"no-store around":                 {lines: []string{fresh + ", public"}, around: []string{"Cache-Control:no-store"}, want: "no-store"},
		"private":                         {lines: []string{fresh + ", private"}, want: "private"},
		"private fields":                  {lines: []string{fresh + `, private="x-a, x-b"`}, want: "private"}, // all of it, which is permitted
		"private around":                  {lines: []string{fresh}, around: []string{"Cache-Control:private"}, want: "private"},
		"Authorization":                   {request: []string{"Authorization:x"}, lines: []string{fresh}, want: "authorization"},
		"Authorization, empty":            {request: []string{"Authorization:"}, lines: []string{fresh}, want: "authorization"},
		"Authorization, public":           {request: []string{"Authorization:x"}, lines: []string{fresh + ", public"}},
		"Authorization, must-revalidate":  {request: []string{"Authorization:x"}, lines: []string{fresh + ", must-revalidate"}}, // section 3.5
		"Authorization, s-maxage":         {request: []string{"Authorization:x"}, lines: []string{"Cache-Control:s-maxage=60"}},
		"Authorization, proxy-revalidate": {request: []string{"Authorization:x"}, lines: []string{fresh + ", proxy-revalidate"}, want: "authorization"},
		"Authorization, public around":    {request: []string{"Authorization:x"}, lines: []string{fresh}, around: []string{"Cache-Control:public"}, want: "authorization"},
		"a stream":                        {lines: []string{fresh, "Content-Type:Text/Event-Stream ; charset=utf-8"}, want: "event-stream"},
		"a stream around":                 {lines: []string{fresh}, around: []string{"Content-Type:text/event-stream"}, want: "event-stream"},
		"no stream":                       {lines: []string{fresh, "Content-Type:text/event-streams"}},
		"Vary: *":                         {lines: []string{fresh, "Vary:accept", "Vary:x, *"}, want: "vary"}, // section 4.1
		"Vary: * around":                  {lines: []string{fresh}, around: []string{"Vary:*"}, want: "vary"},
		"Vary: Cookie":                    {lines: []string{fresh, "Vary:cookie"}, want: "vary"},
		"Vary: Authorization":             {lines: []string{fresh, "Vary:authorization"}, want: "vary"},
		"as many fields as may be":        {lines: []string{fresh, many(8)}},
		"one field more":                  {lines: []string{fresh, many(8)}, around: []string{"Vary:X-One-More"}, want: "vary"},
		"one field twice":                 {lines: []string{fresh, many(8)}, around: []string{"Vary:x-0"}},
		"too large":                       {lines: []string{fresh, "Content-Length:1048577"}, want: "too-large"},
		"as large as may be":              {lines: []string{fresh, "Content-Length:1048576"}},
		"very large":                      {lines: []string{fresh, "Content-Length:99999999999999999999"}, want: "too-large"},
		"no length":                       {lines: []string{fresh, "Content-Length:x"}},
		"too many tags":                   {lines: []string{fresh, "Surrogate-Key:" + strings.Repeat("x", 1025)}, want: "tags"},
		"too many tags with those around": {lines: []string{fresh}, around: []string{"Cache-Tag:" + strings.Repeat("x", 1025)}, want: "tags"},
		"personal":                        {lines: []string{fresh}, personal: true, want: "session"},
		"personal, must-revalidate":       {lines: []string{fresh + ", must-revalidate"}, personal: true, want: "session"},
		"personal, public":                {lines: []string{fresh + ", public"}, personal: true},
		"personal, s-maxage":              {lines: []string{"Cache-Control:s-maxage=60"}, personal: true},
		"personal, public around":         {lines: []string{fresh}, around: []string{"Cache-Control:public"}, personal: true, want: "session"},
		"silent, personal, public around": {around: []string{"Cache-Control:public, max-age=60"}, personal: true, want: "session"},
		"silent":                          {want: "not-fresh"},
		"not fresh":                       {lines: []string{"Cache-Control:max-age=0"}, want: "not-fresh"},
		"not fresh, with an ETag":         {lines: []string{"Cache-Control:max-age=0", `ETag:"a"`}},
		"no-cache":                        {lines: []string{"Cache-Control:no-cache, max-age=60"}, want: "no-cache"},
		"no-cache around":                 {lines: []string{fresh}, around: []string{"Cache-Control:no-cache"}, want: "no-cache"},
		"no-cache, with an ETag":          {lines: []string{"Cache-Control:no-cache", `ETag:"a"`}},
		"Pragma":                          {lines: []string{"Pragma:no-cache"}, want: "no-cache"},
		"a 500 with an ETag":              {status: 500, lines: []string{`ETag:"a"`}, want: "not-fresh"},
		"a 500 to be served stale":        {status: 500, lines: []string{"Cache-Control:stale-if-error=60"}, want: "not-fresh"},
		"a 302 with no-cache":             {status: 302, lines: []string{"Cache-Control:no-cache", `ETag:"a"`}, want: "no-cache"},
		"a 404 with an ETag":              {status: 404, lines: []string{`ETag:"a"`}},
		"with a cookie":                   {request: []string{"Cookie:a=b"}, lines: []string{`ETag:"a"`}, want: "not-fresh"},
	} {
		r := get(tt.request...)
		if tt.method != "" {
			r.Method = tt.method
		}
		status := tt.status
		switch status {
		case 0:
			status = 200
		case -1:
			status = 0
		}
		res := Response{Status: status, Header: fields(tt.lines...), Around: fields(tt.around...), Personal: tt.personal}
		if v, got := all().Assess(r, res, now); got != tt.want {
			t.Errorf("%s: %q, want %q (%+v)", name, got, tt.want, v)
		}
	}
}

func TestResponsesThatVaryByCookie(t *testing.T) {
	rs := all()
	rs.VaryCookie = true
	res := Response{Status: 200, Header: fields("Cache-Control:max-age=60", "Vary:Cookie")}
	if _, reason := rs.Assess(get("Cookie:a=b"), res, now); reason != "" {
		t.Errorf("permitted: %q, want it stored", reason)
	}
	res.Header.Add("Vary", "Authorization")
	if _, reason := rs.Assess(get(), res, now); reason != "vary" {
		t.Errorf("beside Authorization: %q, want vary", reason)
	}
}

// The bound of a body is that of its length, however large both are.
func TestBoundsOfABody(t *testing.T) {
	for _, tt := range []struct {
		max    int64
		length string
		want   string
	}{
		{math.MaxInt64, "5", ""}, // no bound
		{math.MaxInt64, "9223372036854775807", ""},
		{10 << 30, "5", ""},
		{10 << 30, "10737418240", ""},
		{10 << 30, "10737418241", "too-large"},
		{3 << 30, "5000000000", "too-large"},
		{1, "2", "too-large"},
		{1, "0002", "too-large"},
		{1, "1", ""},
	} {
		rs := all()
		rs.MaxBody = tt.max
		res := Response{Status: 200, Header: fields("Cache-Control:max-age=60", "Content-Length:"+tt.length)}
		if _, got := rs.Assess(get(), res, now); got != tt.want {
			t.Errorf("%s bytes of at most %d: %q, want %q", tt.length, tt.max, got, tt.want)
		}
	}
}

// What else is said of a response that is stored.
func TestVerdicts(t *testing.T) {
	res := Response{
		Status: 200, Age: 10 * time.Second,
		Header: fields("Cache-Control:public, max-age=60, immutable", "Surrogate-Key:b a"),
		Around: fields("Cache-Tag:c", `Cache-Groups:"d"`),
	}
	v, reason := all().Assess(get(), res, now)
	if reason != "" || !v.Shared || !v.Immutable || v.Fresh != 50*time.Second || v.Implicit || v.Strict {
		t.Errorf("%+v, %q", v, reason)
	}
	if got := strings.Join(v.Tags, " "); got != "a b c d" {
		t.Errorf("tags %q, want those of all", got)
	}
	res.Header = fields("Cache-Control:max-age=60")
	if v, _ := all().Assess(get(), res, now); v.Shared || v.Immutable {
		t.Errorf("%+v, want neither for requests with Authorization nor immutable", v)
	}
	// Redis counts in milliseconds: below one is nothing.
	for life, want := range map[time.Duration]string{time.Millisecond: "", time.Millisecond - 1: "not-fresh"} {
		rs := all()
		rs.MaxTTL = life
		if _, got := rs.Assess(get(), res, now); got != want {
			t.Errorf("fresh for %v: %q, want %q", life, got, want)
		}
	}
}

// FuzzAssess: no response that says no-store or private, sets a cookie or is not for all
// is stored, whatever else it says; what is stored has lifetimes within their bounds.
func FuzzAssess(f *testing.F) {
	for _, seed := range []string{"max-age=60", "max-age=60, no-store", "private; max-age=1", "must-understand, no-store", `no-cache="x", s-maxage=5`, "public, stale-if-error=9999999999", `x="a, no-store`, ""} {
		f.Add(seed, "max-age=60", 200, int64(5))
	}
	f.Fuzz(func(t *testing.T, control, cdn string, status int, age int64) {
		rs := all()
		rs.Targets = []string{"Cdn-Cache-Control"}
		res := Response{Status: status, Header: http.Header{"Cache-Control": {control}, "Etag": {`"a"`}}, Age: time.Duration(max(age, 0))}
		if cdn != "" {
			res.Header["Cdn-Cache-Control"] = []string{cdn}
		}
		v, reason := rs.Assess(get(), res, now)
		terms := rs.TermsOf(status, res.Header, now)
		if reason == "" && (terms.Has("no-store") || terms.Has("private") || status < 200 || status == 206 || status == 304) {
			t.Errorf("%q, %q, %d: stored", control, cdn, status)
		}
		if reason == "" && (v.Fresh < 0 || v.Fresh > rs.MaxTTL || v.StaleWhileRevalidate > rs.MaxTTL || v.StaleIfError > rs.MaxTTL || v.Keep < v.Fresh+max(v.StaleWhileRevalidate, v.StaleIfError)) {
			t.Errorf("%q, %q: %+v", control, cdn, v.Lives)
		}
		if reason == "" && v.Strict && (v.StaleWhileRevalidate > 0 || v.StaleIfError > 0) {
			t.Errorf("%q, %q: served stale, and must not be: %+v", control, cdn, v.Lives)
		}
		around := http.Header{"Cache-Control": {"no-store"}}
		if _, reason := rs.Assess(get(), Response{Status: 200, Header: res.Header, Around: around}, now); reason == "" {
			t.Errorf("%q, %q: stored, and an outer middleware says no-store", control, cdn)
		}
		if _, reason := rs.Assess(get("Authorization:x"), res, now); reason == "" && !terms.Has("public") && !terms.Has("must-revalidate") && !terms.Has("s-maxage") {
			t.Errorf("%q, %q: stored from a request with Authorization", control, cdn)
		}
	})
}
