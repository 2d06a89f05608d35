package routertest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// promise is one row of the contract: a handler and requests to it.
type promise struct {
	name    string
	methods []string // of the routes; GET by default
	asks    []string // requests; by default two like GET /case/7
	header  http.Header
	page    bool   // the body and its fields are the router's own
	want    string // the statuses, "-" for no response; "200 200" by default
	handler func(c *chain, x *exchange) error
}

const text = "text/plain; charset=utf-8"

// public lets a response be stored.
func public(x *exchange) { x.w.Header().Set("Cache-Control", "public, max-age=60") }

func promises(file string) []promise {
	status := func(n int) func(*chain, *exchange) error {
		return func(c *chain, x *exchange) error {
			visit := c.visit(x)
			return x.send(n, text, fmt.Sprintf("id %s%s", x.id, visit))
		}
	}
	empty := func(n int) func(*chain, *exchange) error {
		return func(c *chain, x *exchange) error { c.visit(x); return x.empty(n) }
	}
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	return []promise{
		{name: "200", handler: status(200)},
		{name: "201", want: "201 201", methods: []string{"POST"}, asks: []string{"POST /case/7", "POST /case/7"}, handler: status(201)},
		{name: "204", want: "204 204", handler: empty(204)},
		{name: "304", want: "304 304", handler: empty(304)},
		{name: "400", want: "400 400", handler: status(400)},
		{name: "500", want: "500 500", handler: status(500)},
		{name: "a status only", want: "202 202", handler: empty(202)},
		{name: "nothing written", handler: func(c *chain, x *exchange) error { public(x); c.visit(x); return nil }},
		{name: "404 of the router", want: "404 404", asks: []string{"GET /away", "GET /away"}, page: true, handler: status(200)},
		{name: "405 of the router", want: "405 405", asks: []string{"POST /case/7", "POST /case/7"}, page: true, handler: status(200)},
		{name: "404 as an error", want: "404 404", page: true, handler: func(c *chain, x *exchange) error { c.visit(x); return x.fail(404) }},
		{name: "409 as an error", want: "409 409", page: true, handler: func(_ *chain, x *exchange) error { return x.fail(409) }},
		{name: "an error", want: "500 500", page: true, handler: func(c *chain, x *exchange) error { c.visit(x); return x.crash() }},
		{name: "an error that may be stored", want: "500 500", page: true, handler: func(_ *chain, x *exchange) error { public(x); return x.crash() }},
		{name: "404 that may be stored", want: "404 404", page: true, handler: func(_ *chain, x *exchange) error { public(x); return x.fail(404) }},
		{name: "an error after the body", handler: func(_ *chain, x *exchange) error {
			_ = x.send(200, text, "all there is")
			return x.crash()
		}},
		{name: "a panic", want: "- -", handler: func(c *chain, _ *exchange) error { panic("before anything is written") }},
		{name: "a panic after a change", want: "- -", handler: func(c *chain, x *exchange) error { c.visit(x); panic("before anything is written") }},
		{name: "a panic in the body", handler: func(_ *chain, x *exchange) error {
			public(x)
			_, _ = io.WriteString(x.w, "half an ans")
			_ = http.NewResponseController(x.w).Flush()
			panic(http.ErrAbortHandler)
		}},
		{name: "stored", want: "200 200 200 200", asks: []string{"GET /case/7", "GET /case/7", "GET /case/8", "GET /case/7"}, handler: func(_ *chain, x *exchange) error {
			public(x)
			return x.send(200, text, "page "+x.id)
		}},
		{name: "stored without a body", want: "204 204", handler: func(_ *chain, x *exchange) error { public(x); return x.empty(204) }},
		{name: "stored, then changed", want: "200 200 200", methods: []string{"GET", "POST"}, asks: []string{"GET /case/7", "POST /case/7", "GET /case/7"}, handler: func(_ *chain, x *exchange) error {
			public(x)
			return x.send(200, text, "page "+x.id)
		}},
		{name: "a condition", want: "304 304", header: http.Header{"If-None-Match": {`"1"`}}, handler: func(_ *chain, x *exchange) error {
			public(x)
			x.w.Header().Set("ETag", `"1"`)
			if x.r.Header.Get("If-None-Match") == `"1"` {
				return x.empty(304)
			}
			return x.send(200, text, "page")
		}},
		{name: "HEAD", want: "200 200 200", methods: []string{"GET", "HEAD"}, asks: []string{"HEAD /case/7", "GET /case/7", "HEAD /case/7"}, handler: func(_ *chain, x *exchange) error {
			public(x)
			return x.send(200, text, "page "+x.id)
		}},
		{name: "HEAD of an error", want: "404", methods: []string{"GET", "HEAD"}, asks: []string{"HEAD /case/7"}, page: true, handler: func(_ *chain, x *exchange) error { return x.fail(404) }},
		{name: "a large body", handler: func(_ *chain, x *exchange) error {
			public(x)
			x.w.Header().Set("Content-Type", text)
			_, err := io.WriteString(x.w, large)
			return err
		}},
		{name: "pieces", handler: func(_ *chain, x *exchange) error {
			x.w.Header().Set("Content-Type", text)
			for i := range 5 {
				fmt.Fprintln(x.w, "piece", i)
				if err := http.NewResponseController(x.w).Flush(); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "a flush only", handler: func(c *chain, x *exchange) error {
			c.visit(x)
			return http.NewResponseController(x.w).Flush()
		}},
		{name: "a file", handler: func(_ *chain, x *exchange) error { return sendFile(x, file) }},
		{name: "part of a file", want: "206 206", header: http.Header{"Range": {"bytes=100000-299999"}}, handler: func(_ *chain, x *exchange) error { return sendFile(x, file) }},
		{name: "a copy", handler: func(_ *chain, x *exchange) error {
			x.w.Header().Set("Content-Type", text)
			_, err := io.Copy(x.w, io.LimitReader(strings.NewReader(large), 1<<19))
			return err
		}},
		{name: "a body read", want: "200", methods: []string{"POST"}, asks: []string{"POST /case/7 some content"}, handler: func(_ *chain, x *exchange) error {
			b, err := io.ReadAll(x.r.Body)
			if err != nil {
				return err
			}
			return x.send(200, text, "read "+string(b))
		}},
		{name: "a redirect", want: "303 303", handler: func(c *chain, x *exchange) error {
			c.visit(x)
			x.w.Header().Set("Location", "/there")
			return x.empty(http.StatusSeeOther)
		}},
		{name: "a cookie", handler: func(c *chain, x *exchange) error {
			public(x)
			visit := c.visit(x)
			http.SetCookie(x.w, &http.Cookie{Name: "own", Value: "1"})
			return x.send(200, text, "for one"+visit)
		}},
		{name: "a session changed late", handler: func(c *chain, x *exchange) error {
			err := x.send(200, text, "first")
			c.visit(x)
			return err
		}},
		{name: "a session changed again", handler: func(c *chain, x *exchange) error {
			err := x.send(200, text, "first"+c.visit(x))
			c.visit(x)
			return err
		}},
		{name: "early hints", want: "201 201", handler: func(c *chain, x *exchange) error {
			x.w.Header().Set("Link", "</a.css>; rel=preload; as=style")
			x.under().WriteHeader(http.StatusEarlyHints)
			return x.send(201, text, "made"+c.visit(x))
		}},
		{name: "a pattern", handler: func(c *chain, x *exchange) error {
			// chi leaves the method out.
			return x.send(200, text, strings.TrimPrefix(x.r.Pattern, "GET ")+" "+x.r.PathValue("id"))
		}},
	}
}

func sendFile(x *exchange, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	http.ServeContent(x.w, x.r, "file.txt", time.Unix(1_700_000_000, 0), f)
	return nil
}

// outcome is what came of the requests of a promise.
type outcome struct {
	replies []reply
	told    []string
	kept    []string
}

type reply struct {
	proto  string // status, or how it failed
	hints  []string
	header map[string][]string
	body   string
}

// own are the fields of a router's page.
var own = []string{"(framing)", "Allow", "Content-Length", "Content-Type", "X-Content-Type-Options"}

func (r reply) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v\n", r.proto, r.hints)
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		fmt.Fprintf(&b, "  %s: %q\n", name, r.header[name])
	}
	fmt.Fprintf(&b, "  %s\n", r.body)
	return b.String()
}

func (o *outcome) String() string {
	return fmt.Sprint(o.replies) + "\ntold: " + strings.Join(o.told, "\n      ") + "\nkept: " + strings.Join(o.kept, "\n      ") + "\n"
}

func (o *outcome) statuses() string {
	var all []string
	for _, r := range o.replies {
		status, _, _ := strings.Cut(r.proto, " ")
		all = append(all, status)
	}
	return strings.Join(all, " ")
}

// cut takes the page out of each reply, for another comparison.
func (o *outcome) cut() []string {
	var pages []string
	for i := range o.replies {
		r := &o.replies[i]
		page := r.body
		for _, name := range own {
			page += fmt.Sprintf(" %s=%q", name, r.header[name])
			delete(r.header, name)
		}
		r.body = ""
		pages = append(pages, page)
	}
	return pages
}

func serve(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it prints each panic
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

// client follows no redirects, asks for no compression and keeps cookies.
func client(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// do sends "METHOD /path body".
func do(t testing.TB, c *http.Client, base, ask string, header http.Header) reply {
	t.Helper()
	method, rest, _ := strings.Cut(ask, " ")
	path, body, _ := strings.Cut(rest, " ")
	var r reply
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		r.hints = append(r.hints, mask(fmt.Sprint(code, " ", h)))
		return nil
	}}
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), method, base+path, content)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := c.Do(req)
	if err != nil {
		r.proto = "- no response"
		return r
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	r.proto = fmt.Sprint(resp.Status, " complete=", err == nil)
	if r.body = string(b); len(b) > 200 {
		r.body = fmt.Sprintf("%d bytes, %x", len(b), sha256.Sum256(b))
	}
	delete(resp.Header, "Date")
	r.header = map[string][]string{"(framing)": {fmt.Sprint(resp.ContentLength, resp.TransferEncoding)}}
	for name, values := range resp.Header {
		for _, value := range values {
			switch name {
			case "Set-Cookie":
				value = token.ReplaceAllString(value, "$1=…")
			case "Age":
				value = "N"
			}
			r.header[name] = append(r.header[name], mask(value))
		}
	}
	return r
}

// keep runs a promise.
func keep(t testing.TB, rt router, p promise, c *chain) outcome {
	t.Helper()
	methods := p.methods
	if methods == nil {
		methods = []string{"GET"}
	}
	asks := p.asks
	if asks == nil {
		asks = []string{"GET /case/7", "GET /case/7"}
	}
	srv := serve(t, rt.build(app{c.global, c.local, methods, func(x *exchange) error { return p.handler(c, x) }}))
	var o outcome
	who := client(t)
	for _, ask := range asks {
		o.replies = append(o.replies, do(t, who, srv.URL, ask, p.header))
	}
	srv.Close() // waits until the last handler has returned
	o.told, o.kept = c.told(), c.kept(t)
	return o
}

// Every promise with every middleware in every router, compared with net/http.
func TestRoutersAreAlike(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(file, bytes.Repeat([]byte("a line of a file\n"), 40_000), 0o600); err != nil {
		t.Fatal(err)
	}
	rdb := sharedClient(t)
	for _, p := range promises(file) {
		t.Run(p.name, func(t *testing.T) {
			for _, subject := range subjects {
				var want outcome
				for _, rt := range routers() {
					t.Run(subject+"/"+rt.name, func(t *testing.T) {
						got := keep(t, rt, p, newChain(t, subject, settings{rdb: rdb}))
						if statuses := got.statuses(); statuses != cmp.Or(p.want, "200 200") {
							t.Errorf("statuses: got %s, want %s", statuses, cmp.Or(p.want, "200 200"))
						}
						if p.page { // what the router sends without any middleware
							bare := keep(t, rt, p, &chain{rdb: rdb, prefix: "none"})
							if pages, want := got.cut(), bare.cut(); !slices.Equal(pages, want) {
								t.Errorf("pages: got %q, want %q", pages, want)
							}
						}
						if rt.name == "net_http" {
							want = got
							t.Log(got)
							return
						}
						if got.String() != want.String() {
							t.Errorf("got\n%s\nwant\n%s", got, want)
						}
					})
				}
			}
		})
	}
}
