package rules

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The three forms of a date (RFC 9110, section 5.6.7) are one moment; what has none of
// their shapes is no date, so it is never a lifetime.
func TestDatesHaveThreeForms(t *testing.T) {
	want := time.Date(1994, time.November, 6, 8, 49, 37, 0, time.UTC)
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
		"Sun Nov 06 08:49:37 1994",
		"Sun, 06 Nov 1994 08:49:37 gmt", // a recipient is to be robust
	} {
		if got, err := parseTime(s); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", s, got, err, want)
		}
	}
	// An obsolete date has two digits of its year, and a day of any length.
	for s, want := range map[string]time.Time{
		"Wednesday, 01-Jan-20 00:00:00 GMT": time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		"Thursday, 31-Dec-99 23:59:59 GMT":  time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC),
		"Sat, 29 Feb 2020 00:00:00 GMT":     time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parseTime(s); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "0", "-1", "never", "784111777", "1994-11-06T08:49:37Z",
		"Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 EST", "Sun, 06 Nov 1994 08:49:37 +0000",
		"Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "Sun,  06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT",
		"Sun, 6 Nov 1994 8:49:37.0 GMT", "Sun, 6 Nov 1994 08:49:37  GMT", // of the length of a valid one
		"Sun, 06 Nov 1994 8:49:37  GMT", "Sunday, 06-Nov-94 8:49:37  GMT", "Sun Nov  6 8:49:37  1994", "Sun  Nov 6 08:49:37 1994", "Sun Nov 6  08:49:37 1994",
		"Sunday, 06-Nov-94 08:49:37 EST", "Sunday, 6-Nov-94 8:49:37.0 GMT", "Sunday, 06 Nov 94 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994", "Sun Nov  6 8:49:37.0 1994", "Sun Nov 06 08:49:37 94",
		"Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 29 Feb 2021 00:00:00 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
	} {
		if got, err := parseTime(s); err == nil {
			t.Errorf("%q: %v, want no date", s, got)
		}
	}
}

// A response without a valid Date is as old as its arrival (RFC 9110, section 6.6.1).
func TestDateOfAResponse(t *testing.T) {
	made := now.Add(-time.Hour)
	for value, want := range map[string]time.Time{made.Format(http.TimeFormat): made, "": now, "yesterday": now} {
		if got := date(http.Header{"Date": {value}}, now); !got.Equal(want) {
			t.Errorf("Date: %q: %v, want %v", value, got, want)
		}
	}
	if got := date(http.Header{}, now); !got.Equal(now) {
		t.Errorf("without Date: %v, want %v", got, now)
	}
}

// FuzzTime: a date that is read is the one that was written.
func FuzzTime(f *testing.F) {
	for _, seed := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 6 Nov 1994 8:49:37,0 GMT", "Sunday, 06-Nov-94 08:49:37 EST"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := parseTime(s)
		if err != nil {
			return
		}
		_, wantDay, _ := strings.Cut(strings.ToLower(s), " ") // the name of the day says nothing
		for _, form := range []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC, "Mon Jan 02 15:04:05 2006"} {
			if _, day, _ := strings.Cut(strings.ToLower(at.UTC().Format(form)), " "); day == wantDay {
				return
			}
		}
		t.Errorf("%q is read as %v", s, at)
	})
}
