package rules

import (
	"net/http"
	"testing"
	"time"
)

// Every field of RFC 9110, sections 13.1 and 14.2, can have another answer than the whole;
// If-Range cannot without Range (section 13.1.5).
func TestConditionalRequests(t *testing.T) {
	for name, want := range map[string]bool{
		"Range": true, "If-Match": true, "If-None-Match": true, "If-Modified-Since": true, "If-Unmodified-Since": true,
		"If-Range": false, "Accept": false, "Cache-Control": false,
	} {
		r := &http.Request{Method: "GET", Header: http.Header{name: {""}}}
		if got := Conditional(r); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if got, want := Preconditions[name], want || name == "If-Range"; got != want {
			t.Errorf("%s is removed from the request for the whole: %v, want %v", name, got, want)
		}
	}
	if Conditional(&http.Request{Header: http.Header{}}) {
		t.Error("a request without fields is conditional")
	}
}

// Date stands in for a Last-Modified that is missing (RFC 9111, section 4.3.2), as
// If-Modified-Since is evaluated (RFC 9110, section 13.1.3).
func TestNotModifiedSinceDate(t *testing.T) {
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, tt := range map[string]struct {
		since, none []string
		date        string
		want        bool
	}{
		"made at that time":        {since: []string{at(0)}, date: at(0), want: true},
		"made before":              {since: []string{at(time.Hour)}, date: at(0), want: true},
		"made a second later":      {since: []string{at(-time.Second)}, date: at(0)},
		"in an obsolete form":      {since: []string{now.Format("Monday, 02-Jan-06 15:04:05 GMT")}, date: now.Format(time.ANSIC), want: true},
		"without the field":        {date: at(0)},
		"without Date":             {since: []string{at(0)}},
		"no date":                  {since: []string{"tomorrow"}, date: at(0)},
		"in another zone":          {since: []string{now.Format("Monday, 02-Jan-06 15:04:05") + " EST"}, date: at(0)},
		"Date is none":             {since: []string{at(0)}, date: "today"},
		"two dates":                {since: []string{at(time.Hour), at(time.Hour)}, date: at(0)},
		"If-None-Match goes first": {since: []string{at(0)}, none: []string{`"x"`}, date: at(0)},
	} {
		r := &http.Request{Method: "GET", Header: http.Header{}}
		if tt.since != nil {
			r.Header["If-Modified-Since"] = tt.since
		}
		if tt.none != nil {
			r.Header["If-None-Match"] = tt.none
		}
		h := http.Header{}
		if tt.date != "" {
			h.Set("Date", tt.date)
		}
		if got := NotModifiedSinceDate(r, h); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
