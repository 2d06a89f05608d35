package rules

import (
	"net/http"
	"testing"
	"time"
)

// Request directives (RFC 9111, section 5.2.1) of a stored response that is 10 s old and
// fresh for 20 s more.
func TestWants(t *testing.T) {
	for field, want := range map[string]bool{
		"":                         true,
		"max-age=11":               true,
		"max-age=10":               true, // less than or equal
		"max-age=9":                false,
		"max-age=0":                false,
		"max-age":                  false, // no number: nothing is young enough
		"max-age=x":                false,
		`max-age="11"`:             true,
		"min-fresh=19":             true,
		"min-fresh=20":             true,
		"min-fresh=21":             false,
		"min-fresh":                true,
		"max-age=11, min-fresh=21": false,
		"max-age=9, min-fresh=1":   false,
		"No-Cache":                 false,
		"no-cache=x":               false,
		"max-age=60, no-cache":     false,
		"only-if-cached":           true,
		"max-stale":                true,
		"no-transform, x=y":        true,
	} {
		h := http.Header{}
		if field != "" {
			h.Set("Cache-Control", field)
		}
		if got := Wants(ParseControl(h), h, 10*time.Second, 20*time.Second); got != want {
			t.Errorf("%q: %v, want %v", field, got, want)
		}
	}
	// What is stale has less than nothing left.
	h := http.Header{"Cache-Control": {"min-fresh=0"}}
	if Wants(ParseControl(h), h, 10*time.Second, -1) {
		t.Error("min-fresh=0 takes what is stale")
	}
}

// Pragma counts where there is no Cache-Control (RFC 9111, section 5.4).
func TestPragmaOfARequest(t *testing.T) {
	for name, tt := range map[string]struct {
		header http.Header
		want   bool
	}{
		"no-cache":              {http.Header{"Pragma": {"no-cache"}}, false},
		"in upper case":         {http.Header{"Pragma": {" NO-CACHE "}}, false},
		"something else":        {http.Header{"Pragma": {"x-no-cache"}}, true},
		"beside Cache-Control":  {http.Header{"Pragma": {"no-cache"}, "Cache-Control": {"max-age=60"}}, true},
		"and both say no-cache": {http.Header{"Pragma": {"x"}, "Cache-Control": {"no-cache"}}, false},
	} {
		if got := Wants(ParseControl(tt.header), tt.header, time.Second, time.Minute); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// max-stale (RFC 9111, section 5.2.1.2), of a response that is stale for 10 s.
func TestToleratesStale(t *testing.T) {
	for field, want := range map[string]bool{
		"":             false,
		"max-age=60":   false,
		"max-stale":    true,
		"max-stale=11": true,
		"max-stale=10": true, // no more than
		"max-stale=9":  false,
		"max-stale=0":  false,
		"max-stale=x":  false,
		"max-stale=-1": false,
		"Max-Stale=60": true,
	} {
		if got := ToleratesStale(ParseControl(http.Header{"Cache-Control": {field}}), -10*time.Second); got != want {
			t.Errorf("%q: %v, want %v", field, got, want)
		}
	}
}
