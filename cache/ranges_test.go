package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Ranges of what is stored, as RFC 9110 reads them and net/http does not in all.
func TestRangesOfWhatIsStored(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("0-0,", 40), ",")
	cases := []struct {
		method string
		lines  []string
		status int
		body   string // or Content-Range of a 416
	}{
		{"GET", []string{"Range: bytes=2-4"}, 206, "234"},
		{"GET", []string{"Range: Bytes=2-4"}, 206, "234"}, // the name of a unit has no case
		{"GET", []string{"Range: bytes=8-99999999999999999999"}, 206, "89"},
		{"GET", []string{"Range: bytes=-99999999999999999999"}, 206, "0123456789"},
		{"GET", []string{"Range: bytes=\t2-4 ,"}, 206, "234"},
		{"GET", []string{"Range: bytes=-0,2-4"}, 206, "234"},
		{"GET", []string{"Range: bytes=20-,2-4"}, 206, "234"},
		{"GET", []string{"Range: bytes=-0"}, 416, "bytes */10"},
		{"GET", []string{"Range: bytes=10-"}, 416, "bytes */10"},
		{"GET", []string{"Range: bytes=99999999999999999999-"}, 416, "bytes */10"},
		{"GET", []string{"Range: bytes=-0, 99-"}, 416, "bytes */10"},
		{"GET", []string{"Range: items=0-1"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes="}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=-"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=4-2"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=2 - 4"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes =2-4"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=+2-4"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=--4"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=2-4,x"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=2-4", "Range: bytes=5-6"}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=" + many}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=0-3,1-4,2-5"}, 200, "0123456789"},
		{"HEAD", []string{"Range: bytes=2-4"}, 200, ""},
		{"GET", []string{"Range: bytes=2-4", `If-Range: "v1"`}, 206, "234"},
		{"GET", []string{"Range: bytes=2-4", `If-Range: W/"v1"`}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=2-4", `If-Range: "v2"`}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=-0", `If-Range: "v2"`}, 200, "0123456789"},
		{"GET", []string{"Range: bytes=-0", `If-None-Match: "v1"`}, 304, ""},
		{"GET", []string{"Range: bytes=2-4", "If-Range: Sat, 01 Nov 2025 00:00:00 GMT"}, 206, "234"},
		{"GET", []string{"Range: bytes=2-4", "If-Range: Sat, 01 Nov 2025 00:00:01 GMT"}, 200, "0123456789"},
		{"GET", []string{`If-None-Match: "x"`, `If-None-Match: "v1"`}, 304, ""},
	}
	for _, h2 := range []bool{false, true} {
		srv := server(t, h2, newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			if r.URL.Path != "/404" {
				w.Header().Set("Etag", `"v1"`)
				w.Header().Set("Last-Modified", "Sat, 01 Nov 2025 00:00:00 GMT")
			} else {
				w.WriteHeader(404)
			}
			io.WriteString(w, "0123456789")
		})))
		get(t, srv.Client(), "GET", srv.URL)
		for _, tc := range cases {
			resp, body := get(t, srv.Client(), tc.method, srv.URL, tc.lines...)
			if resp.StatusCode == 416 {
				body = resp.Header.Get("Content-Range")
			}
			if resp.StatusCode != tc.status || body != tc.body || !strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
				t.Errorf("http2=%v %s %v: got %d %q %s, want %d %q", h2, tc.method, tc.lines, resp.StatusCode, body, resp.Header.Get("Cache-Status"), tc.status, tc.body)
			}
		}
		resp, body := get(t, srv.Client(), "GET", srv.URL, "Range: bytes=0-1, 8-9")
		if resp.StatusCode != 206 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "multipart/byteranges") || !strings.Contains(body, "bytes 8-9/10") {
			t.Errorf("two ranges: %d %v %q", resp.StatusCode, resp.Header, body)
		}
		for range 2 {
			if resp, body := get(t, srv.Client(), "GET", srv.URL+"/404", "Range: bytes=0-1"); resp.StatusCode != 404 || body != "0123456789" {
				t.Errorf("a range of an error: %d %q", resp.StatusCode, body)
			}
			get(t, srv.Client(), "GET", srv.URL+"/404")
		}
	}
}

// A 304 with the validators of another response, and a HEAD that shows another,
// say nothing good of the stored one (RFC 9111, sections 4.3.4 and 4.3.5).
func TestA304OfAnotherResponse(t *testing.T) {
	for name, tc := range map[string]struct {
		stored, sent []string // validators
		same         bool
	}{
		"the same":           {[]string{`ETag: "1"`}, []string{`ETag: "1"`}, true},
		"another":            {[]string{`ETag: "1"`}, []string{`ETag: "2"`}, false},
		"none":               {[]string{`ETag: "1"`}, nil, true},
		"weak for strong":    {[]string{`ETag: "1"`}, []string{`ETag: W/"1"`}, true},
		"strong for weak":    {[]string{`ETag: W/"1"`}, []string{`ETag: "1"`}, false},
		"another weak":       {[]string{`ETag: W/"1"`}, []string{`ETag: W/"2"`}, false},
		"one for a date":     {[]string{old}, []string{`ETag: "1"`}, false},
		"another date":       {[]string{old}, []string{"Last-Modified: Sun, 02 Nov 2025 00:00:00 GMT"}, false},
		"the date":           {[]string{old}, []string{old}, true},
		"the tag, new date":  {[]string{`ETag: "1"`, old}, []string{`ETag: "1"`, "Last-Modified: Sun, 02 Nov 2025 00:00:00 GMT"}, true},
		"another lower case": {[]string{`ETag: "1"`}, []string{`etag: "2"`}, false},
	} {
		for _, h2 := range []bool{false, true} {
			rdb := redistest.Standalone(t).Client(t)
			prefix := redistest.Prefix(t)
			n := 0
			srv := server(t, h2, newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n++
				lines := tc.stored
				asked := r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since") != ""
				if asked {
					lines = tc.sent
				}
				for _, line := range lines {
					name, value, _ := strings.Cut(line, ": ")
					w.Header()[name] = []string{value}
				}
				w.Header().Set("Cache-Control", "max-age=60")
				if asked {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				fmt.Fprint(w, "page ", n)
			})))
			get(t, srv.Client(), "GET", srv.URL)
			older(t, rdb, prefix, 100*time.Second)
			want, calls := "page 1", 2
			if !tc.same {
				want, calls = "page 3", 3 // asked again, without our condition
			}
			if resp, body := get(t, srv.Client(), "GET", srv.URL); body != want || resp.StatusCode != 200 || n != calls {
				t.Errorf("%s, http2=%v: got %d %q after %d calls, want %q: %s", name, h2, resp.StatusCode, body, n, want, resp.Header.Get("Cache-Status"))
			}
			if resp, body := get(t, srv.Client(), "GET", srv.URL); body != want || !strings.Contains(resp.Header.Get("Cache-Status"), "; hit") {
				t.Errorf("%s, http2=%v: then %q: %s", name, h2, body, resp.Header.Get("Cache-Status"))
			}
		}
	}
}

func TestAHeadThatShowsAnotherResponse(t *testing.T) {
	for name, tc := range map[string]struct {
		head []string
		same bool
	}{
		"the same":         {[]string{`ETag: "1"`, "Content-Length: 4", old}, true},
		"nothing":          {nil, true},
		"another length":   {[]string{`ETag: "1"`, "Content-Length: 5"}, false},
		"another tag":      {[]string{`ETag: "2"`}, false},
		"another date":     {[]string{"Last-Modified: Sun, 02 Nov 2025 00:00:00 GMT"}, false},
		"in lower case":    {[]string{"content-length: 5"}, false},
		"a length of zero": {[]string{"Content-Length: 0"}, false},
	} {
		for _, h2 := range []bool{false, true} {
			for _, near := range []bool{false, true} {
				opts := []cache.Option{}
				if near {
					opts = append(opts, cache.WithNearTier(1<<20, time.Minute))
				}
				srv := server(t, h2, newCache(t, redistest.Standalone(t).Client(t), opts...).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					lines := []string{`ETag: "1"`, old}
					if r.Method == http.MethodHead {
						lines = tc.head
					}
					for _, line := range lines {
						name, value, _ := strings.Cut(line, ": ")
						w.Header()[name] = []string{value}
					}
					w.Header().Set("Cache-Control", "max-age=60")
					if r.Method == http.MethodHead {
						w.WriteHeader(200)
						return
					}
					if r.Header.Get("If-None-Match") != "" {
						w.WriteHeader(304)
						return
					}
					io.WriteString(w, "page")
				})))
				get(t, srv.Client(), "GET", srv.URL)
				get(t, srv.Client(), "GET", srv.URL)
				get(t, srv.Client(), "HEAD", srv.URL, "Cache-Control: no-cache")
				if resp, _ := get(t, srv.Client(), "GET", srv.URL); strings.Contains(resp.Header.Get("Cache-Status"), "; hit") != tc.same {
					t.Errorf("%s, http2=%v, near=%v: after HEAD: %s", name, h2, near, resp.Header.Get("Cache-Status"))
				}
			}
		}
	}
}
