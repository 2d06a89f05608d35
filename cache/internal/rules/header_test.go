package rules

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// What RFC 9111, section 3.1, has a cache leave out, and what is of this cache or of one client.
func TestStoredHeader(t *testing.T) {
	date := now.Format(http.TimeFormat)
	for _, name := range []string{
		"Connection", "Proxy-Connection", "Keep-Alive", "TE", "Transfer-Encoding", "Upgrade", // RFC 9110, section 7.6.1
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", // RFC 9111, section 3.1
		"Trailer", "Content-Length", "Age", "Cache-Status",
		"RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "Retry-After", http.TrailerPrefix + "X-Sum",
	} {
		h := http.Header{"Date": {date}, "X-Other": {"1"}}
		h.Set(name, "x")
		if got := StoredHeader(h, now); len(got) != 2 || got.Get("Date") != date || got.Get("X-Other") != "1" {
			t.Errorf("%s: %v, want Date and X-Other", name, got)
		}
	}
	for _, name := range []string{"Cache-Control", "Vary", "ETag", "Last-Modified", "Content-Type", "Content-Encoding", "Content-Language", "Expires", "Link", "X-RateLimit", "WWW-Authenticate", "Set-Cookie"} {
		h := http.Header{}
		h.Set(name, "x")
		if got := StoredHeader(h, now); got.Get(name) != "x" {
			t.Errorf("%s is left out", name)
		}
	}
	h := http.Header{"Connection": {"close, x-one ", "X-TWO,,\tx-three"}, "X-One": {"1"}, "X-Two": {"2"}, "X-Three": {"3"}, "X-One-More": {"4"}, "Close": {"5"}}
	want := http.Header{"X-One-More": {"4"}, "Date": {date}}
	if got := StoredHeader(h, now); !equalHeaders(got, want) {
		t.Errorf("fields that Connection names: %v, want %v", got, want)
	}
	if got := StoredHeader(http.Header{}, now.In(time.FixedZone("", 3600))); got.Get("Date") != date {
		t.Errorf("Date of a response without one: %q, want %q", got.Get("Date"), date)
	}
	if len(h) != 6 {
		t.Errorf("the header of the handler has changed: %v", h)
	}
}

// A 304 replaces fields of what is stored, except those of its content (RFC 9111, section 3.2).
func TestUpdated(t *testing.T) {
	old, date := now.Add(-time.Hour).Format(http.TimeFormat), now.Format(http.TimeFormat)
	stored := http.Header{
		"Date": {old}, "Etag": {`"a"`}, "Content-Type": {"text/html"}, "Content-Encoding": {"gzip"}, "Content-Md5": {"q"}, "Cache-Control": {"max-age=60", "public"}, "X-Old": {"1"}, "Expires": {old},
	}
	before := stored.Clone()
	fields := http.Header{
		"Date": {date}, "Etag": {`W/"a"`}, "Content-Type": {"text/plain"}, "Content-Encoding": {"br"}, "Content-Length": {"0"}, "Content-Range": {"bytes 0-1/2"}, "Content-Md5": {"z"},
		"Cache-Control": {"max-age=5"}, "X-New": {"2"}, "Set-Cookie": {"a=b"}, "Connection": {"x-hop"}, "X-Hop": {"3"}, "Age": {"7"},
	}
	want := http.Header{
		"Date": {date}, "Etag": {`"a"`}, "Content-Type": {"text/plain"}, "Content-Encoding": {"gzip"}, "Content-Md5": {"q"}, "Cache-Control": {"max-age=5"}, "X-Old": {"1"}, "Expires": {old}, "X-New": {"2"},
	}
	if got := Updated(stored, fields, now); !equalHeaders(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Updated(stored, http.Header{}, now); got.Get("Date") != date {
		t.Errorf("a 304 without Date: %q, want that of its arrival", got.Get("Date"))
	}
	if !equalHeaders(stored, before) {
		t.Error("what is stored has changed: other requests read it")
	}
}

// Fields of outer middlewares stand in the same map, before those of the handler.
func TestOwnFields(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after, own http.Header
		added              []string
	}{
		"nothing before":        {nil, http.Header{"A": {"1"}}, http.Header{"A": {"1"}}, nil},
		"untouched":             {http.Header{"A": {"1"}}, http.Header{"A": {"1"}, "B": {"2"}}, http.Header{"B": {"2"}}, nil},
		"added to":              {http.Header{"A": {"1"}}, http.Header{"A": {"1", "2"}}, http.Header{"A": {"2"}}, []string{"A"}},
		"added the same":        {http.Header{"A": {"1"}}, http.Header{"A": {"1", "1"}}, http.Header{"A": {"1"}}, []string{"A"}},
		"replaced":              {http.Header{"A": {"1"}}, http.Header{"A": {"2"}}, http.Header{"A": {"2"}}, nil},
		"replaced by more":      {http.Header{"A": {"1"}}, http.Header{"A": {"2", "1"}}, http.Header{"A": {"2", "1"}}, nil},
		"one of two taken away": {http.Header{"A": {"1", "2"}}, http.Header{"A": {"1"}}, http.Header{"A": {"1"}}, nil},
		"deleted":               {http.Header{"A": {"1"}}, http.Header{}, http.Header{}, nil},
		"emptied":               {http.Header{"A": {"1"}}, http.Header{"A": {}}, http.Header{}, nil},
		"empty before":          {http.Header{"A": {}}, http.Header{"A": {"1"}}, http.Header{"A": {"1"}}, nil},
		"another name":          {http.Header{"A": {"1"}}, http.Header{"A": {"1"}, "x-b": {"2"}}, http.Header{"X-B": {"2"}}, nil},
		"added to, by others":   {http.Header{"x-b": {"1"}, "C": {"1"}}, http.Header{"x-b": {"1", "2"}, "C": {"1", "2"}}, http.Header{"X-B": {"2"}, "C": {"2"}}, []string{"C", "X-B"}},
	} {
		if got := Own(tt.before, tt.after); !equalHeaders(got, tt.own) {
			t.Errorf("%s: own %v, want %v", name, got, tt.own)
		}
		if got := AddedTo(tt.before, tt.after); !slices.Equal(got, tt.added) {
			t.Errorf("%s: added to %v, want %v", name, got, tt.added)
		}
	}
	both := Own(nil, http.Header{"X-A": {"1"}, "x-a": {"2"}})["X-A"]
	if slices.Sort(both); !slices.Equal(both, []string{"1", "2"}) {
		t.Errorf("one field in two spellings: %v", both)
	}
}
