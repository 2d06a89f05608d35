package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/examples/internal/exampletest"
	"github.com/redishttp/redishttp/internal/redistest"
)

const (
	laptop = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	phone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1"
	annPW  = "river-otter-42"
	bobPW  = "copper-kettle-7"
)

// tour does what a user does, on any Redis: one device is ended from another.
func tour(t *testing.T, one, two string) {
	t.Helper()
	home, away := newVisitor(t, one, laptop), newVisitor(t, two, phone)
	if p := home.get("/"); !isOut(p) {
		t.Errorf("a stranger got %d %s", p.status, p.path)
	}
	if p := home.login("ann", annPW); !isIn(p) {
		t.Fatalf("login: %d %s: %s", p.status, p.path, p.body)
	}
	if p := away.login(" Ann ", annPW); !isIn(p) {
		t.Fatalf("login on a second device: %d %s: %s", p.status, p.path, p.body)
	}
	all := devicesOf(home.get("/"))
	if len(all) != 2 || all[0].name != "Firefox on Linux" || !all[0].current || all[1].name != "Safari on iPhone" || all[1].current {
		t.Fatalf("the devices are %+v", all)
	}
	if seen := devicesOf(away.get("/")); len(seen) != 2 || seen[0].handle != all[1].handle || !seen[0].current || seen[1].current {
		t.Errorf("from the other one they are %+v", seen)
	}
	if p := home.post("/devices/" + all[1].handle + "/revoke"); !isIn(p) || !strings.Contains(p.body, "The device is logged out.") || len(devicesOf(p)) != 1 {
		t.Errorf("revoke: %d %s: %s", p.status, p.path, p.body)
	}
	if p := away.get("/"); !isOut(p) || !strings.Contains(p.body, "Your session has ended.") {
		t.Errorf("the ended device got %d %s: %s", p.status, p.path, p.body)
	}
	if p := home.post("/devices/" + all[1].handle + "/revoke"); !strings.Contains(p.body, "logged out already") {
		t.Errorf("revoke again: %d %s: %s", p.status, p.path, p.body)
	}
	if p := home.post("/logout"); !isOut(p) || !strings.Contains(p.body, "You are logged out.") || home.token() != "" {
		t.Errorf("logout: %d %s, a cookie of %d bytes", p.status, p.path, len(home.token()))
	}
	if p := home.get("/"); !isOut(p) || strings.Contains(p.body, "ended") {
		t.Errorf("after the logout: %d %s", p.status, p.path)
	}
}

func TestTheTourOnOtherTopologies(t *testing.T) {
	for name, redisURL := range map[string]string{"embedded": "", "cluster": redistest.NewCluster(t, 0).Target().URL} {
		t.Run(name, func(t *testing.T) {
			base := serve(t, redisURL)
			tour(t, base, base)
		})
	}
}

// Two processes on one Redis are one service.
func TestTheProgram(t *testing.T) {
	redisURL := redistest.NewServer(t).URL()
	binary := exampletest.Build(t)
	tour(t, exampletest.Start(t, binary, redisURL, "-rounds", "1000").URL, exampletest.Start(t, binary, redisURL).URL)
}

func TestLogOutElsewhere(t *testing.T) {
	base := serve(t, redistest.NewServer(t).URL())
	var ann []*visitor
	for range 4 {
		v := newVisitor(t, base, laptop)
		if p := v.login("ann", annPW); !isIn(p) {
			t.Fatalf("login: %d %s", p.status, p.path)
		}
		ann = append(ann, v)
	}
	bob := newVisitor(t, base, phone)
	bob.login("bob", bobPW)
	if p := ann[0].post("/devices/revoke-others"); !isIn(p) || !strings.Contains(p.body, "3 other devices are logged out.") || len(devicesOf(p)) != 1 {
		t.Errorf("the others: %d %s: %s", p.status, p.path, p.body)
	}
	for i, v := range ann {
		if p := v.get("/"); isIn(p) != (i == 0) || isOut(p) != (i != 0) {
			t.Errorf("device %d after the others were ended: %d %s", i, p.status, p.path)
		}
	}
	ann[1].login("ann", annPW)
	copied := ann[0].token()
	if p := ann[0].post("/devices/revoke-all"); !isOut(p) || !strings.Contains(p.body, "logged out on all devices") || ann[0].token() != "" {
		t.Errorf("everywhere: %d %s, a cookie of %d bytes", p.status, p.path, len(ann[0].token()))
	}
	for i, v := range ann[:2] {
		if p := v.get("/"); !isOut(p) {
			t.Errorf("device %d after all were ended: %d %s", i, p.status, p.path)
		}
	}
	if p := newVisitor(t, base, laptop).once("GET", "/", nil, "Cookie", "session="+copied); !isOut(p) {
		t.Errorf("a cookie that was copied before: %d %s", p.status, p.path)
	}
	if p := bob.get("/"); !isIn(p) {
		t.Errorf("another user: %d %s", p.status, p.path)
	}
}

// A user ends his own devices, nobody else's; the one in hand too.
func TestWhoseDevices(t *testing.T) {
	base := serve(t, redistest.NewServer(t).URL())
	ann, bob := newVisitor(t, base, laptop), newVisitor(t, base, phone)
	ann.login("ann", annPW)
	bob.login("bob", bobPW)
	own := devicesOf(ann.get("/"))
	if len(own) != 1 {
		t.Fatalf("ann sees %+v", own)
	}
	if p := bob.post("/devices/" + own[0].handle + "/revoke"); !strings.Contains(p.body, "logged out already") {
		t.Errorf("bob ends ann's: %d %s: %s", p.status, p.path, p.body)
	}
	if p := ann.get("/"); !isIn(p) {
		t.Errorf("ann, after that: %d %s", p.status, p.path)
	}
	if p := newVisitor(t, base, laptop).post("/devices/" + own[0].handle + "/revoke"); !isOut(p) {
		t.Errorf("a stranger: %d %s", p.status, p.path)
	}
	if p := ann.post("/devices/" + own[0].handle + "/revoke"); !isOut(p) {
		t.Errorf("ann ends her own: %d %s", p.status, p.path)
	}
	if p := ann.get("/"); !isOut(p) {
		t.Errorf("and is in again: %d %s", p.status, p.path)
	}
}

func TestPasswords(t *testing.T) {
	base := serve(t, redistest.NewServer(t).URL(), func(c *config) { c.byName, c.byAddress = 100, 100 })
	for _, test := range []struct{ what, user, password string }{
		{"a wrong password", "ann", "river-otter-43"},
		{"another's", "ann", bobPW},
		{"none", "ann", ""},
		{"nobody", "carol", annPW},
		{"no name", "", ""},
	} {
		v := newVisitor(t, base, laptop)
		if p := v.login(test.user, test.password); p.status != http.StatusUnauthorized || !strings.Contains(p.body, "The user name or the password is wrong.") || v.token() != "" {
			t.Errorf("%s: %d, a cookie of %d bytes: %s", test.what, p.status, len(v.token()), p.body)
		}
		if p := v.get("/"); !isOut(p) {
			t.Errorf("%s: is in: %d %s", test.what, p.status, p.path)
		}
	}
	v := newVisitor(t, base, laptop)
	if p := v.do("POST", "/login", url.Values{"user": {"ann"}, "password": {annPW}, "more": {strings.Repeat("x", maxBody)}}); p.status != http.StatusUnauthorized {
		t.Errorf("a body above the limit was read: %d %s", p.status, p.path)
	}
	hostile := `"><img src=x>`
	if p := v.login(hostile, "x"); strings.Contains(p.body, hostile) || !strings.Contains(p.body, "&#34;&gt;&lt;img") {
		t.Errorf("the name is not escaped: %s", p.body)
	}
	for _, notice := range []string{"nothing", "<b>Call 555-0100</b>"} {
		if p := v.get("/login?notice=" + url.QueryEscape(notice)); strings.Contains(p.body, `class="notice`) {
			t.Errorf("a link puts words on the page: %s", p.body)
		}
	}
}

// What was in the browser before the login is worth nothing afterwards, whoever
// has put it there.
func TestALoginHasANewToken(t *testing.T) {
	base := serve(t, redistest.NewServer(t).URL())
	v := newVisitor(t, base, laptop)
	v.login("bob", bobPW)
	planted := v.token()
	if p := v.login("ann", annPW); !isIn(p) || v.token() == planted {
		t.Errorf("the token is that of before: %v, %d %s", v.token() == planted, p.status, p.path)
	}
	if p := newVisitor(t, base, laptop).once("GET", "/", nil, "Cookie", "session="+planted); !isOut(p) {
		t.Errorf("the planted token: %d %s", p.status, p.path)
	}
	v.login("bob", bobPW)
	if all := devicesOf(v.get("/")); len(all) != 1 {
		t.Errorf("bob's first session is still listed: %+v", all)
	}
}

func TestGuessedTokens(t *testing.T) {
	server := redistest.NewServer(t)
	base := serve(t, server.URL())
	v := newVisitor(t, base, laptop)
	v.login("ann", annPW)
	real := v.token()
	last := map[bool]string{true: "B", false: "A"}[real[0] == 'A']
	stored, err := server.Client(t).Keys(t.Context(), "session:*").Result()
	if err != nil || len(stored) != 1 {
		t.Fatalf("the sessions are %v, %v", stored, err)
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	for what, token := range map[string]string{
		"a guess of the right form": base64.RawURLEncoding.EncodeToString(raw),
		"one that is nearly right":  last + real[1:],
		"what Redis has":            stored[0][strings.LastIndex(stored[0], ":")+1:],
		"a device's handle":         devicesOf(v.get("/"))[0].handle,
		"nothing like it":           "x",
	} {
		if len(token) == 0 || token == real {
			t.Fatalf("%s: %q is no guess", what, token)
		}
		if p := newVisitor(t, base, laptop).once("GET", "/", nil, "Cookie", "session="+token); !isOut(p) {
			t.Errorf("%s: %d %s", what, p.status, p.path)
		}
	}
	if p := newVisitor(t, base, laptop).once("GET", "/", nil, "Cookie", "session="+real); !isIn(p) {
		t.Errorf("the real one: %d %s", p.status, p.path) // else the above says nothing
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	base := serve(t, redistest.NewServer(t).URL())
	v := newVisitor(t, base, laptop)
	v.login("ann", annPW)
	handle := devicesOf(v.get("/"))[0].handle
	for _, path := range []string{"/login", "/logout", "/devices/" + handle + "/revoke", "/devices/revoke-others", "/devices/revoke-all"} {
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
			if p := v.once("POST", path, url.Values{"user": {"bob"}, "password": {bobPW}}, header...); p.status != http.StatusForbidden {
				t.Errorf("%s with %s: %d", path, header, p.status)
			}
		}
	}
	if p := v.get("/"); !isIn(p) || !strings.Contains(p.body, "<bdi>ann</bdi>") {
		t.Errorf("something was done all the same: %d %s", p.status, p.path)
	}
	for _, path := range []string{"/logout", "/devices/revoke-all"} { // nor as an image or a link
		if p := v.get(path); p.status != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", path, p.status)
		}
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	wrong := func(v *visitor, user string, most int) (failed int, last page) {
		for range most {
			if last = v.login(user, "x"); last.status != http.StatusUnauthorized {
				return failed, last
			}
			failed++
		}
		return failed, last
	}
	limited := func(t *testing.T, p page) {
		t.Helper()
		wait, err := strconv.Atoi(p.header.Get("Retry-After"))
		if p.status != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 600 || !strings.Contains(p.body, "Too many failed attempts. Try again in") {
			t.Errorf("got %d %v: %s", p.status, p.header, p.body)
		}
	}
	t.Run("for a name", func(t *testing.T) {
		base := serve(t, redistest.NewServer(t).URL(), func(c *config) { c.byName, c.byAddress = 3, 1000 })
		in := newVisitor(t, base, phone)
		in.login("ann", annPW)
		v := newVisitor(t, base, laptop)
		failed, p := wrong(v, "ann", 100)
		if limited(t, p); failed < 3 {
			t.Errorf("after %d failures", failed)
		}
		limited(t, newVisitor(t, base, laptop).login("ANN ", annPW)) // however it is written, and the right password too
		if p := newVisitor(t, base, laptop).login("bob", bobPW); !isIn(p) {
			t.Errorf("another name: %d %s", p.status, p.path)
		}
		if p := in.get("/"); !isIn(p) {
			t.Errorf("who was in: %d %s", p.status, p.path)
		}
		if failed, p := wrong(v, "nobody of that name", 100); p.status != http.StatusTooManyRequests {
			t.Errorf("a name that nobody has: %d failures", failed)
		}
	})
	t.Run("from an address", func(t *testing.T) {
		base := serve(t, redistest.NewServer(t).URL(), func(c *config) { c.byName, c.byAddress = 3, 5 })
		var p page
		tried := 0
		for ; p.status != http.StatusTooManyRequests && tried < 100; tried++ { // a new name each time
			p = newVisitor(t, base, laptop).login(fmt.Sprint("user-", tried), "x")
		}
		if limited(t, p); tried < 6 {
			t.Errorf("at attempt %d", tried)
		}
		if p := newVisitor(t, base, laptop).get("/login"); p.status != http.StatusOK {
			t.Errorf("looking is limited too: %d", p.status)
		}
	})
	t.Run("but not who is right", func(t *testing.T) {
		base := serve(t, redistest.NewServer(t).URL(), func(c *config) { c.byName, c.byAddress = 2, 2 })
		for i := range 8 {
			v := newVisitor(t, base, laptop)
			// What it gives back arrives when the answer is out.
			redistest.Eventually(t, patience, func() bool { return isIn(v.login("ann", annPW)) }, "login %d", i)
		}
	})
}

// The cookies are those of the session package, and a stranger gets none.
func TestCookies(t *testing.T) {
	server := redistest.NewServer(t)
	for _, test := range []struct {
		name      string
		behindTLS bool
		remember  string
		want      []string
		not       []string
	}{
		{"session", false, "", []string{"Path=/", "HttpOnly", "SameSite=Lax"}, []string{"Secure", "Expires", "Max-Age", "Domain"}},
		{"session", false, "1", []string{"HttpOnly", "Expires"}, []string{"Secure"}},
		{"__Host-session", true, "", []string{"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}, []string{"Domain", "Expires"}},
	} {
		v := newVisitor(t, serve(t, server.URL(), func(c *config) { c.behindTLS = test.behindTLS }), laptop)
		v.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if p := v.get("/login"); p.header.Get("Set-Cookie") != "" {
			t.Errorf("a stranger gets %s", p.header.Get("Set-Cookie"))
		}
		p := v.do("POST", "/login", url.Values{"user": {"ann"}, "password": {annPW}, "remember": {test.remember}})
		cookie := p.header.Get("Set-Cookie")
		if p.status != http.StatusSeeOther || !strings.HasPrefix(cookie, test.name+"=") || !strings.Contains(p.header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s: %d, %d bytes of cookie, %v", test.name, p.status, len(cookie), p.header["Cache-Control"])
		}
		_, attributes, _ := strings.Cut(cookie, ";")
		for _, want := range test.want {
			if !strings.Contains(attributes, want) {
				t.Errorf("%s: without %s: %s", test.name, want, attributes)
			}
		}
		for _, not := range test.not {
			if strings.Contains(attributes, not) {
				t.Errorf("%s: with %s: %s", test.name, not, attributes)
			}
		}
	}
}

func TestRedisIsDown(t *testing.T) {
	server := redistest.NewServer(t)
	v := newVisitor(t, serve(t, server.URL()), laptop)
	v.login("ann", annPW)
	server.Kill()
	for _, path := range []string{"/", "/logout"} {
		method := map[bool]string{true: "GET", false: "POST"}[path == "/"]
		if p := v.once(method, path, nil); p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" || strings.Contains(p.body, "redis") {
			t.Errorf("%s %s: %d %s", method, path, p.status, p.body)
		}
	}
	if p := newVisitor(t, v.base, phone).once("POST", "/login", url.Values{"user": {"ann"}, "password": {annPW}}); p.status != http.StatusServiceUnavailable {
		t.Errorf("login: %d %s", p.status, p.body)
	}
	if p := v.once("GET", "/login", nil); p.status != http.StatusOK {
		t.Errorf("a page without a session: %d", p.status)
	}
	if v.token() == "" {
		t.Error("the outage has taken the cookie away")
	}
	server.Restart(t) // empty: it keeps nothing
	if p := v.get("/"); !isOut(p) {
		t.Errorf("when it is back without the session: %d %s", p.status, p.path)
	}
	if p := v.login("ann", annPW); !isIn(p) {
		t.Errorf("and a new login: %d %s", p.status, p.path)
	}
}

func TestPagesAreKeptFromOthers(t *testing.T) {
	v := newVisitor(t, serve(t, redistest.NewServer(t).URL()), laptop)
	for _, p := range []page{v.get("/login"), v.login("ann", annPW)} {
		csp := p.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || p.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", p.path, p.header)
		}
		for _, inline := range []string{"<script", "<style", " style=", " onclick="} {
			if strings.Contains(p.body, inline) {
				t.Errorf("%s has %s", p.path, inline)
			}
		}
	}
}

func TestDescribe(t *testing.T) {
	for agent, want := range map[string]string{
		laptop: "Firefox on Linux false",
		phone:  "Safari on iPhone true",
		"Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":        "Chrome on Android true",
		"Mozilla/5.0 (Linux; Android 16; SM-X910) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                "Chrome on Android false",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": "Edge on Windows false",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15":         "Safari on macOS false",
		"curl/8.14.1":                 "curl false",
		"Something (Linux)":           "Linux false",
		"":                            "An unknown device false",
		"<script>alert(1)</script>/1": "An unknown device false",
	} {
		name, isPhone := describe(agent)
		if got := fmt.Sprint(name, " ", isPhone); got != want {
			t.Errorf("%s: got %s, want %s", agent, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "just now", -time.Second: "just now", 3*time.Minute + 59*time.Second: "just now", 4 * time.Minute: "4 minutes ago",
		59*time.Minute + 59*time.Second: "59 minutes ago", time.Hour: "1 hour ago", 11*time.Hour + 59*time.Minute: "11 hours ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
