package main

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/examples/internal/programtest"
	"github.com/redishttp/redishttp/internal/redistest"
)

// patience bounds what should happen at once, on a machine that is busy.
const patience = time.Minute

// serve runs the program in this process and returns its base URL.
func serve(t *testing.T, redisURL string, change ...func(*config)) string {
	t.Helper()
	c := defaults()
	c.listen, c.rounds = "127.0.0.1:0", 1000 // TestTheProgram has as many as it has
	for _, f := range change {
		f(&c)
	}
	base, _ := programtest.Serve(t, func(ctx context.Context, out io.Writer) error { return run(ctx, c, redisURL, out) })
	return base
}

// visitor is a browser with a cookie jar of its own.
type visitor struct {
	t     *testing.T
	base  string
	agent string
	http.Client
}

func newVisitor(t *testing.T, base, agent string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t, base: base, agent: agent, Client: http.Client{Jar: jar, Timeout: patience}}
	t.Cleanup(v.CloseIdleConnections)
	return v
}

// page is an answer, and where it was in the end.
type page struct {
	status int
	path   string
	body   string
	header http.Header
}

// once sends a request as it is; header is a list of names and values.
func (v *visitor) once(method, path string, form url.Values, header ...string) page {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("User-Agent", v.agent)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := v.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Request.URL.RequestURI(), string(body), resp.Header}
}

// do asks until the answer is another than 503: a session has a quarter of a
// second, which may be short here.
func (v *visitor) do(method, path string, form url.Values) (p page) {
	v.t.Helper()
	redistest.Eventually(v.t, patience, func() bool {
		p = v.once(method, path, form)
		return p.status != http.StatusServiceUnavailable
	}, "%s %s: no answer but 503", method, path)
	return p
}

func (v *visitor) get(path string) page { v.t.Helper(); return v.do(http.MethodGet, path, nil) }

func (v *visitor) post(path string) page { v.t.Helper(); return v.do(http.MethodPost, path, nil) }

func (v *visitor) login(user, password string) page {
	v.t.Helper()
	return v.do(http.MethodPost, "/login", url.Values{"user": {user}, "password": {password}})
}

// token is the value of the session cookie, "" without one.
func (v *visitor) token() string {
	v.t.Helper()
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.Jar.Cookies(u) {
		if c.Name == "session" {
			return c.Value
		}
	}
	return ""
}

// listed is a device as the page shows it.
type listed struct {
	handle, name string
	current      bool
}

var itemPattern = regexp.MustCompile(`(?s)<li class="device( current)?" data-handle="([A-Za-z0-9_-]+)">.*?<h2>(.*?)( <span.*?)?</h2>`)

func devicesOf(p page) (all []listed) {
	for _, m := range itemPattern.FindAllStringSubmatch(p.body, -1) {
		all = append(all, listed{m[2], html.UnescapeString(m[3]), m[1] != "" && strings.Contains(m[4], "This device")})
	}
	return all
}

// isIn and isOut look at what a page was.
func isIn(p page) bool { return p.status == http.StatusOK && p.path == "/" && len(devicesOf(p)) > 0 }

func isOut(p page) bool {
	return p.status == http.StatusOK && strings.HasPrefix(p.path, "/login") && strings.Contains(p.body, `id="password"`)
}
