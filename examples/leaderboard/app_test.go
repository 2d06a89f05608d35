package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/examples/internal/exampletest"
	"github.com/redishttp/redishttp/examples/internal/programtest"
	"github.com/redishttp/redishttp/internal/redistest"
)

// patience bounds what should happen at once, on a machine that is busy.
const patience = time.Minute

// serve runs the program in this process and returns its base URL.
func serve(t *testing.T, redisURL string, change ...func(*config)) string {
	t.Helper()
	c := defaults()
	c.listen, c.burst = "127.0.0.1:0", 300
	for _, f := range change {
		f(&c)
	}
	base, _ := programtest.Serve(t, func(ctx context.Context, out io.Writer) error { return run(ctx, c, redisURL, out) })
	return base
}

// player has a session.
type player struct {
	t    *testing.T
	base string
	http.Client
}

func newPlayer(t *testing.T, base string) *player {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &player{t: t, base: base, Client: http.Client{Jar: jar, Timeout: patience}}
}

// answer is whatever the API answers.
type answer struct {
	Improved            bool
	Rank, Best, Players int64
	Turn                int64
	Rows                []Row
	Player, Detail      string

	status int
	header http.Header
	body   string
}

// do asks until the answer is another than 503: a session has a quarter of a
// second, which may be short here.
func (p *player) do(method, path, contentType, body string) (a answer) {
	p.t.Helper()
	redistest.Eventually(p.t, patience, func() bool {
		if a = p.once(method, path, contentType, body); a.status != http.StatusServiceUnavailable {
			return true
		}
		<-time.After(50 * time.Millisecond) // each counts
		return false
	}, "no answer but 503")
	return a
}

func (p *player) once(method, path, contentType, body string) answer {
	p.t.Helper()
	req, err := http.NewRequest(method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := p.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(b)}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(b, &a); err != nil {
			p.t.Fatalf("%s: %v", b, err)
		}
	}
	return a
}

func (p *player) get(path string) answer { p.t.Helper(); return p.do("GET", path, "", "") }

func (p *player) submit(name string, score any) answer {
	p.t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "score": score})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do("POST", "/api/scores", "application/json", string(body))
}

// tour does what a user does, on any Redis.
func tour(t *testing.T, base string) {
	ann, bob := newPlayer(t, base), newPlayer(t, base)
	if a := ann.get("/api/around"); a.status != 200 || len(a.Rows) != 0 || a.Player != "" {
		t.Errorf("nobody yet: %+v", a)
	}
	if a := ann.submit("Ann", 700); a.status != 200 || a.Rank != 1 || !a.Improved || a.Player == "" {
		t.Errorf("Ann: %+v", a)
	}
	if a := bob.submit("Bob", 700); a.Rank != 2 {
		t.Errorf("Bob has reached it later: %+v", a)
	}
	if a := bob.submit("Bob", 900); a.Rank != 1 || !a.Improved || a.Best != 900 {
		t.Errorf("Bob again: %+v", a)
	}
	if a := bob.submit("Bobby", 800); a.Rank != 1 || a.Improved || a.Best != 900 {
		t.Errorf("the best counts: %+v", a)
	}
	top := newPlayer(t, base).get("/api/scores")
	if got, want := rowsOf(top), "1 Bobby 900, 2 Ann 700"; got != want || top.Players != 2 {
		t.Errorf("top: got %s, want %s", got, want)
	}
	if a := ann.get("/api/around?n=1"); rowsOf(a) != "1 Bobby 900, 2 Ann 700" || a.Player != a.Rows[1].Player {
		t.Errorf("around Ann: %+v", a)
	}
	if page := ann.get("/"); page.status != 200 || !strings.Contains(page.body, "Rank 2 of 2 with 700 points.") || !strings.Contains(page.body, `value="Ann"`) {
		t.Errorf("Ann's page: %s", page.body)
	}
}

func rowsOf(a answer) string {
	var rows []string
	for _, r := range a.Rows {
		rows = append(rows, fmt.Sprint(r.Rank, " ", r.Name, " ", r.Score))
	}
	return strings.Join(rows, ", ")
}

func TestTheTourOnEveryTopology(t *testing.T) {
	for name, redisURL := range map[string]string{
		"embedded": "", "standalone": redistest.NewServer(t).URL(), "sentinel": redistest.NewSentinel(t).Target().URL, "cluster": redistest.NewCluster(t, 0).Target().URL,
	} {
		t.Run(name, func(t *testing.T) { tour(t, serve(t, redisURL)) })
	}
}

func TestTheProgram(t *testing.T) {
	redisURL := redistest.NewServer(t).URL()
	binary := exampletest.Build(t)
	tour(t, exampletest.Start(t, binary, redisURL).URL)
	other := newPlayer(t, exampletest.Start(t, binary, redisURL).URL) // another instance, the same board
	if a := other.get("/api/scores"); rowsOf(a) != "1 Bobby 900, 2 Ann 700" {
		t.Errorf("got %+v", a)
	}
}

// A crowd that looks at the board is answered from the cache, and still sees a
// new score at once.
func TestTheBoardIsCached(t *testing.T) {
	server := redistest.NewServer(t)
	base := serve(t, server.URL())
	p := newPlayer(t, base)
	hits, i := 0, 0
	redistest.Eventually(t, patience, func() bool {
		if i%5 == 0 {
			p.submit("Ann", i+1)
		}
		a := p.get("/api/scores")
		if a.Rows[0].Score != int64(i/5*5+1) {
			t.Fatalf("%d: an old board: %+v", i, a)
		}
		if strings.Contains(a.header.Get("Cache-Status"), "hit") {
			hits++
		}
		i++
		return hits >= 10
	}, "hardly anything comes from the cache")
	if a := p.get("/api/around"); a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("one's own part may be stored: %v", a.header)
	}
}

func TestWhatIsRefused(t *testing.T) {
	base := serve(t, redistest.NewServer(t).URL())
	p := newPlayer(t, base)
	for _, test := range []struct{ what, method, path, contentType, body, want string }{
		{"no name", "POST", "/api/scores", "application/json", `{"score":1}`, "422 A name has"},
		{"a name of nothing", "POST", "/api/scores", "application/json", `{"name":"\u200b","score":1}`, "422 A name has"},
		{"no score", "POST", "/api/scores", "application/json", `{"name":"A"}`, "422 A score is"},
		{"too much", "POST", "/api/scores", "application/json", `{"name":"A","score":9007199254740992}`, "422 A score is"},
		{"too much for 64 bits", "POST", "/api/scores", "application/json", `{"name":"A","score":99999999999999999999}`, "400 The body"},
		{"half a point", "POST", "/api/scores", "application/json", `{"name":"A","score":1.5}`, "400 The body"},
		{"no JSON", "POST", "/api/scores", "application/json", `name=A&score=1`, "400 The body"},
		{"too large", "POST", "/api/scores", "application/json", `{"name":"` + strings.Repeat("A", maxBody) + `"}`, "413 At most"},
		{"no rows", "GET", "/api/scores?n=0", "", "", "400 n is"},
		{"too many rows", "GET", "/api/scores?n=101", "", "", "400 n is"},
		{"not a number of rows", "GET", "/api/around?n=x", "", "", "400 n is"},
	} {
		a := p.do(test.method, test.path, test.contentType, test.body)
		if got := fmt.Sprint(a.status, " ", a.Detail); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %s, want %s", test.what, got, test.want)
		}
	}
	if a := p.get("/api/scores?n=100"); a.status != 200 || len(a.Rows) != 0 {
		t.Errorf("something was entered all the same: %+v", a)
	}
	req, err := http.NewRequest("POST", base+"/api/scores", strings.NewReader(`{"name":"A","score":1}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := p.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another site: %s", resp.Status)
	}
}

func TestSubmittingIsLimited(t *testing.T) {
	base := serve(t, redistest.NewServer(t).URL(), func(c *config) { c.burst = 5 })
	var a answer
	for i := 0; a.status != http.StatusTooManyRequests && i < 1000; i++ { // a new session each time: it is the address that counts
		a = newPlayer(t, base).submit("A", i)
	}
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("the last of 1000 at once: %d %v", a.status, a.header)
	}
	if a := newPlayer(t, base).get("/api/scores"); a.status != 200 {
		t.Errorf("looking is limited too: %d", a.status)
	}
}

// The form of a page without its script, and a name that would be one.
func TestTheForm(t *testing.T) {
	p := newPlayer(t, serve(t, redistest.NewServer(t).URL()))
	post := func(name, score string) string {
		t.Helper()
		a := p.do("POST", "/", "application/x-www-form-urlencoded", url.Values{"name": {name}, "score": {score}}.Encode())
		if a.status != 200 { // where it was redirected to
			t.Fatalf("got %d %s", a.status, a.body)
		}
		return a.body
	}
	const hostile = `<script>a()</script>`
	page := post(hostile, "1234")
	if strings.Contains(page, hostile) || strings.Count(page, "&lt;script&gt;a()&lt;/script&gt;") != 3 { // podium, around, field
		t.Errorf("the name is not escaped: %s", page)
	}
	for _, want := range []string{"A new best!", "1,234", "Rank 1 of 1 with 1,234 points."} {
		if !strings.Contains(page, want) {
			t.Errorf("without %q: %s", want, page)
		}
	}
	for score, want := range map[string]string{"1000": "Your best of 1,234 stands.", "ten": "A score is", "9007199254740992": "A score is"} {
		if page := post("Ann", score); !strings.Contains(page, want) {
			t.Errorf("%s: without %q: %s", score, want, page)
		}
	}
	if page := post(" ", "1"); !strings.Contains(page, "A name has") {
		t.Errorf("without a name: %s", page)
	}
	page = p.get("/").body
	if strings.Contains(page, `class="error"`) {
		t.Error("what was said is said again")
	}
}

func TestRedisIsDown(t *testing.T) {
	server := redistest.NewServer(t)
	p := newPlayer(t, serve(t, server.URL()))
	p.submit("Ann", 1)
	server.Kill()
	for _, path := range []string{"/", "/api/around", "/api/scores?n=7"} {
		if a := p.once("GET", path, "", ""); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "redis") {
			t.Errorf("GET %s: %d %s", path, a.status, a.body)
		}
	}
	if a := p.once("POST", "/api/scores", "application/json", `{"name":"Ann","score":2}`); a.status != http.StatusServiceUnavailable {
		t.Errorf("submit: %d %s", a.status, a.body)
	}
	server.Restart(t)
	if a := p.submit("Ann", 2); a.status != http.StatusOK {
		t.Errorf("when it is back: %d %s", a.status, a.body)
	}
}

func TestPoints(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "−1,234,567", maxScore: "9,007,199,254,740,991"} {
		if got := points(n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAWrongConfigurationIsSaidClearly(t *testing.T) {
	c := defaults()
	c.listen, c.board = "127.0.0.1:0", "No Board"
	if err := run(t.Context(), c, "", io.Discard); err == nil || !strings.Contains(err.Error(), "-board") {
		t.Errorf("got %v", err)
	}
	if err := run(t.Context(), defaults(), "redis://:hunter2@h:bad", io.Discard); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
