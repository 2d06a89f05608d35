package admin_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/internal/redistest"
)

var (
	tags       = regexp.MustCompile(`<[^>]*>`)
	spaces     = regexp.MustCompile(`[ \n\t]+`)
	pairOf     = regexp.MustCompile(`(?s)<(?:dt|th)(?: [^>]*)?>([^<]*)</(?:dt|th)>\s*<(?:dd|td)(?: [^>]*)?>(.*?)</(?:dd|td)>`)
	tableOf    = regexp.MustCompile(`(?s)<table>(.*?)</table>`)
	headingsOf = regexp.MustCompile(`(?s)<th(?: [^>]*)?>(.*?)</th>`)
	rowOf      = regexp.MustCompile(`(?s)<tr>(.*?)</tr>`)
	cellOf     = regexp.MustCompile(`(?s)<td(?: [^>]*)?>(.*?)</td>`)
)

// words is what a reader sees of a piece of a page.
func words(markup string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(markup, "")), " "))
}

// facts are the pairs of names and values on a page.
func facts(body string) map[string]string {
	all := map[string]string{}
	for _, m := range pairOf.FindAllStringSubmatch(body, -1) {
		all[words(m[1])] = words(m[2])
	}
	return all
}

// table is the one whose first heading is given: each row by its headings.
func table(t *testing.T, body, first string) []map[string]string {
	t.Helper()
	for _, m := range tableOf.FindAllStringSubmatch(body, -1) {
		head, rest, _ := strings.Cut(m[1], "</thead>")
		headings := headingsOf.FindAllStringSubmatch(head, -1)
		if len(headings) == 0 || words(headings[0][1]) != first {
			continue
		}
		var rows []map[string]string
		for _, r := range rowOf.FindAllStringSubmatch(rest, -1) {
			row := map[string]string{}
			for i, c := range cellOf.FindAllStringSubmatch(r[1], -1) {
				row[words(headings[i][1])] = words(c[1])
			}
			rows = append(rows, row)
		}
		return rows
	}
	return nil
}

// row finds the row that has a value under a heading.
func row(t *testing.T, rows []map[string]string, heading, value string) map[string]string {
	t.Helper()
	for _, r := range rows {
		if r[heading] == value {
			return r
		}
	}
	t.Fatalf("no row has %s %q: %v", heading, value, rows)
	return nil
}

// What the page of a key says is what Redis says.
func TestTheFactsOfAKey(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix, ctx := g.Client(t), redistest.Prefix(t), t.Context()
		set := setOf(t, map[string]string{"shop": g.URL})
		b := open(t, set)
		rdb.Set(ctx, prefix+":text", strings.Repeat("x", 1500), 90*time.Second)
		rdb.Set(ctx, prefix+":number", 12345, 0)
		rdb.HSet(ctx, prefix+":hash", "f", "v", "g", "w")
		for i := range 1200 {
			rdb.SAdd(ctx, prefix+":set", i)
		}
		rdb.ZAdd(ctx, prefix+":zset", redis.Z{Score: 2.5, Member: "a"})
		rdb.RPush(ctx, prefix+":list", "a", "b", "c")
		rdb.XAdd(ctx, &redis.XAddArgs{Stream: prefix + ":stream", Values: []any{"f", "v"}})
		for name, want := range map[string]map[string]string{
			"text":   {"Length": "1.5 KiB", "Encoding": "raw"},
			"number": {"Length": "5 B", "Encoding": "int", "TTL": "none"},
			"hash":   {"Elements": "2", "Encoding": "listpack", "TTL": "none"},
			"set":    {"Elements": "1\u202f200", "TTL": "none"},
			"zset":   {"Elements": "1", "Encoding": "listpack"},
			"list":   {"Elements": "3", "Encoding": "listpack"},
			"stream": {"Elements": "1", "Encoding": "stream"},
		} {
			key := prefix + ":" + name
			body := b.see("key" + q("conn", "shop", "key", key))
			got := facts(body)
			want["Connection"] = "shop"
			if g.Name == "cluster" {
				want["Slot"] = fmt.Sprint(rdb.ClusterKeySlot(ctx, key).Val())
			} else if _, ok := got["Slot"]; ok {
				t.Errorf("%s has a slot without a cluster", name)
			}
			for fact, value := range want {
				if got[fact] != value && got[fact] != strings.ReplaceAll(value, "listpack", "quicklist") {
					t.Errorf("%s: %s: got %q, want %q", name, fact, got[fact], value)
				}
			}
			if memory := got["Memory"]; !strings.HasSuffix(memory, "B") || memory == "0 B" {
				t.Errorf("%s: memory %q", name, memory)
			}
			if _, ok := got["Not used for"]; !ok {
				t.Errorf("%s: the idle time is missing", name)
			}
			line := row(t, table(t, b.see("keys"+q("match", key)), "Key"), "Key", key)
			if line["Type"] == "" || line["Encoding"] != got["Encoding"] || line["Memory"] != got["Memory"] || line["Elements or bytes"] == "–" {
				t.Errorf("%s: the search says %v, the page %v", name, line, got)
			}
		}
		ttl := facts(b.see("key" + q("key", prefix+":text")))["TTL"]
		if ttl != "1 min 30 s" && ttl != "1 min 29 s" && ttl != "1 min 28 s" && !strings.HasPrefix(ttl, "1 min") {
			t.Errorf("the TTL is %q", ttl)
		}
		status, body := b.get("key" + q("key", prefix+":gone"))
		if status != 404 || !strings.Contains(words(body), "There is no key "+prefix+":gone") {
			t.Errorf("a key that is not there: %d %s", status, words(body))
		}
		for _, wrong := range []string{"key", "key" + q("key", strings.Repeat("k", 2001))} {
			if status, _ := b.get(wrong); status != 400 {
				t.Errorf("%.20s: %d", wrong, status)
			}
		}
	})
}

// A preview shows all elements of a value, each once, page by page.
func TestAPreviewOfEveryTypeIsComplete(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix, ctx := g.Client(t), redistest.Prefix(t), t.Context()
		b := open(t, setOf(t, map[string]string{"default": g.URL}))
		const n = 250
		pipe := rdb.Pipeline()
		for i := range n {
			text := fmt.Sprintf("element-%03d-%s", i, strings.Repeat("x", 80)) // long ones, so that encodings do not return all at once
			pipe.HSet(ctx, prefix+":hash", text, "value-"+strconv.Itoa(i))
			pipe.SAdd(ctx, prefix+":set", text)
			pipe.RPush(ctx, prefix+":list", text)
			pipe.ZAdd(ctx, prefix+":zset", redis.Z{Score: float64(i) / 2, Member: text})
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: prefix + ":stream", Values: []any{"n", text}})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		element := regexp.MustCompile(`element-(\d{3})-`)
		for name, first := range map[string]string{"hash": "Field", "set": "Member", "list": "Element", "zset": "Member", "stream": "Entry"} {
			seen, pages := map[string]int{}, 0
			for page := "key" + q("key", prefix+":"+name); page != ""; pages++ {
				body := b.see(page)
				rows := table(t, body, first)
				if len(rows) == 0 {
					t.Fatalf("%s: page %d has no rows", name, pages)
				}
				for _, r := range rows {
					text := r[first]
					if name == "stream" {
						text = r["Fields"]
					}
					m := element.FindStringSubmatch(text)
					if m == nil {
						t.Fatalf("%s: a row says %v", name, r)
					}
					i, _ := strconv.Atoi(m[1])
					if name == "hash" && r["Value"] != "value-"+strconv.Itoa(i) {
						t.Errorf("field %d has the value %q", i, r["Value"])
					}
					if name == "zset" && r["Score"] != strconv.FormatFloat(float64(i)/2, 'f', -1, 64) {
						t.Errorf("member %d has the score %q", i, r["Score"])
					}
					seen[m[1]]++
				}
				if pages > 0 && !strings.Contains(body, "From the start") {
					t.Errorf("%s: no way back to the start", name)
				}
				page = next(body)
			}
			if len(seen) != n || pages < 3 {
				t.Errorf("%s: %d elements on %d pages", name, len(seen), pages)
			}
			for text, times := range seen {
				if times > 1 && name != "hash" && name != "set" { // SCAN may repeat
					t.Errorf("%s: element %s is shown %d times", name, text, times)
				}
			}
			for _, from := range []string{"nonsense", "-5", "<b>", "1e3"} {
				if body := b.see("key" + q("key", prefix+":"+name, "from", from)); !strings.Contains(body, "no place in a value") {
					t.Errorf("%s: from %q is not refused: %s", name, from, words(text(body)))
				}
			}
		}
	})
}

func TestPreviewsOfStrings(t *testing.T) {
	g := redistest.Standalone(t)
	rdb, prefix, ctx := g.Client(t), redistest.Prefix(t), t.Context()
	b := open(t, setOf(t, map[string]string{"default": g.URL}))
	for name, c := range map[string]struct{ value, want, foot string }{
		"text":          {"a <b> & c", "<pre>a &lt;b&gt; &amp; c</pre>", "9 B of 9 B"},
		"lines":         {"a\nb", "<pre>a<i class=\"esc\">\\n</i>\nb</pre>", "3 B of 3 B"},
		"json":          {`{"b":[1,{"c":"<i>"}],"a":null}`, "  &#34;b&#34;: [\n    1,\n    {\n      &#34;c&#34;: &#34;&lt;i&gt;&#34;", "30 B of 30 B"},
		"an array":      {`[1,2]`, "[\n  1,\n  2\n]", "5 B of 5 B"},
		"nearly json":   {`{"a":1`, `<pre>{&#34;a&#34;:1</pre>`, "6 B of 6 B"},
		"binary":        {"\xff\xfe\x00", `<i class="esc">\xff\xfe\x00</i>`, "not text"},
		"a bare number": {"42", "<pre>42</pre>", "2 B of 2 B"},
		"empty":         {"", "<pre></pre>", "0 B of 0 B"},
	} {
		key := prefix + ":" + name
		rdb.Set(ctx, key, c.value, 0)
		body := b.see("key" + q("key", key))
		if !strings.Contains(body, c.want) || !strings.Contains(words(body), c.foot) {
			t.Errorf("%s: want %q and %q in %s", name, c.want, c.foot, text(body))
		}
	}
	// A long one goes on where it stopped.
	long := strings.Repeat("0123456789abcdef", 3000) + "end"
	rdb.Set(ctx, prefix+":long", long, 0)
	pages, all := 0, ""
	for page := "key" + q("key", prefix+":long"); page != ""; pages++ {
		body := b.see(page)
		_, rest, _ := strings.Cut(body, "<pre>")
		part, _, _ := strings.Cut(rest, "</pre>")
		all += part
		page = next(body)
	}
	if all != long || pages != 3 {
		t.Errorf("%d bytes of %d on %d pages", len(all), len(long), pages)
	}
	for _, from := range []string{"-1", "x", "99999999999999999999"} {
		if body := b.see("key" + q("key", prefix+":long", "from", from)); !strings.Contains(body, "no place in a value") {
			t.Errorf("from %s: %s", from, text(body))
		}
	}
}

func TestHiddenKeys(t *testing.T) {
	g := redistest.Standalone(t)
	rdb, prefix, ctx := g.Client(t), redistest.Prefix(t), t.Context()
	secret := prefix + ":mail:1"
	rdb.Set(ctx, secret, "hunter2", time.Minute)
	rdb.HSet(ctx, prefix+":mail:2", "hunter2", "hunter2")
	rdb.Set(ctx, prefix+":other", "visible", 0)
	rdb.Set(ctx, "scs:session:"+prefix+"hunter2", "value", time.Minute)
	rdb.Set(ctx, prefix+":looks", "\x00\x01hunter2", time.Minute) // like a session under a prefix that is not known
	b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithHiddenKeys(prefix+":mail:"))
	for key, reason := range map[string]string{
		secret: "The application hides", prefix + ":mail:2": "The application hides", prefix + ":looks": "This is a session",
		"scs:session:" + prefix + "hunter2": "This is a session",
	} {
		body := b.see("key" + q("key", key))
		if strings.Contains(body, "hunter2") || !strings.Contains(body, reason) {
			t.Errorf("%s: %s", key, words(text(body)))
		}
		if got := facts(body); got["Memory"] == "" || got["TTL"] == "" {
			t.Errorf("%s: what is no secret is missing: %v", key, got)
		}
	}
	b.see("key"+q("key", prefix+":other"), "visible")
	body := b.see("keys" + q("match", prefix))
	if strings.Contains(body, "hunter2") || !strings.Contains(body, "scs:session:(token not shown)") {
		t.Errorf("the search shows a token: %s", words(text(body)))
	}
	if strings.Contains(b.see("keys"+q("match", "scs:session:"+prefix+"hunter2")), ">scs:session:"+prefix) {
		t.Error("the search for a token shows it")
	}
	if status, body := b.get("key" + q("key", "scs:session:"+prefix+"hunter3")); status != 404 || strings.Contains(body, "hunter3") {
		t.Errorf("a token that is not there: %d %s", status, words(text(body)))
	}
}

// What the pages say of a topology is what its servers say.
func TestTheFactsOfAConnection(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		set := setOf(t, map[string]string{"shop": g.URL})
		conn, err := set.Get("shop")
		if err != nil {
			t.Fatal(err)
		}
		b := open(t, set)
		body := b.see("connection" + q("conn", "shop"))
		got, info := facts(body), conn.Info()
		for name, want := range map[string]string{
			"Topology": g.Name, "Database": strconv.Itoa(info.DB), "User": "default", "TLS": "no", "Client name": info.ClientName,
			"Opened": "0", "Calls refused": "0", "State": "closed", "Waited in vain": "0", "Commands sent in batches": "0",
		} {
			if got[name] != want {
				t.Errorf("%s: got %q, want %q", name, got[name], want)
			}
		}
		servers := table(t, body, "Server")
		nodes, err := conn.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(servers) != len(nodes) {
			t.Errorf("%d servers, want %d", len(servers), len(nodes))
		}
		for _, n := range nodes {
			line := row(t, servers, "Server", n.Addr)
			if line["Role"] != n.Role || line["State"] != "well" {
				t.Errorf("%s: got %v, want %+v", n.Addr, line, n)
			}
			if n.Role == "master" && (line["Version"] != n.Server+" "+n.Version || line["Latency"] == "–" || line["Memory"] == "–") {
				t.Errorf("the master %s: got %v", n.Addr, line)
			}
			if n.Role == "master" {
				b.see("node"+q("conn", "shop", "addr", n.Addr), redistest.Version()+", up for")
			}
			if n.Role == "replica" && !strings.Contains(line["Slots or master"], n.Master) {
				t.Errorf("the replica %s: got %v", n.Addr, line)
			}
			if len(n.Slots) > 0 && line["Slots or master"] != fmt.Sprintf("%d–%d", n.Slots[0].From, n.Slots[0].To) {
				t.Errorf("the slots of %s: got %v", n.Addr, line)
			}
			if linked := strings.Contains(body, "addr="+strings.ReplaceAll(n.Addr, ":", "%3A")); linked == (n.Role == "sentinel") {
				t.Errorf("the link to the %s %s: %v", n.Role, n.Addr, linked)
			}
		}
		over := facts(b.see(""))
		if over["Topology"] != g.Name || over["Version"] != nodes[0].Server+" "+nodes[0].Version && g.Name != "sentinel" || over["Latency"] == "–" {
			t.Errorf("got %v", over)
		}
	})
}

// An open breaker is said to be open, with what it has refused.
func TestAnOpenBreakerIsShown(t *testing.T) {
	set := setOf(t, map[string]string{"default": "redis://app:hunter2@127.0.0.1:1"})
	conn, err := set.Get("default")
	if err != nil {
		t.Fatal(err)
	}
	for range 7 {
		conn.Client().Get(t.Context(), "k")
	}
	b := open(t, set)
	body := b.see("connection")
	got := facts(body)
	if got["State"] != "open the server" || got["Opened"] != "1" || got["Calls refused"] == "0" || got["User"] != "app" || strings.Contains(body, "hunter2") {
		t.Errorf("got %v", got)
	}
	if over := b.see("", "breaker open", "down"); strings.Contains(over, "hunter2") {
		t.Error("the page has a password")
	}
}

func TestTheFactsOfAServer(t *testing.T) {
	server := redistest.NewServer(t, redistest.WithArgs("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--slowlog-log-slower-than", "0"))
	rdb, ctx := server.Client(t), t.Context()
	for i := range 3 {
		rdb.Set(ctx, fmt.Sprint("k", i), 1, time.Duration(i)*time.Hour)
	}
	rdb.Get(ctx, "k0")
	rdb.Get(ctx, "none")
	b := open(t, setOf(t, map[string]string{"default": server.URL()}))
	body := b.see("node" + q("addr", server.Addr()))
	got := facts(body)
	for name, want := range map[string]string{
		"Limit": "64.0 MiB", "When it is full": "allkeys-lru", "Evicted keys": "0", "Blocked clients": "0", "Append-only file": "off",
		"Snapshot under way": "no", "Hits, misses": "1, 1",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	if keys := got["Database 0"]; !strings.HasPrefix(keys, "3 2 with a TTL") {
		t.Errorf("the keys: %q", keys)
	}
	set := row(t, table(t, body, "Command"), "Command", "set")
	if set["Calls"] != "3" || set["Failed"] != "" || !strings.HasSuffix(set["Share"], " %") {
		t.Errorf("got %v", set)
	}
	slow := row(t, table(t, body, "When"), "First argument", "k2")
	if slow["Command"] != "SET" || slow["More"] == "" || slow["Took"] == "" || slow["Client"] == "" {
		t.Errorf("got %v", slow)
	}
}

// A page with HEAD has the headers of GET and no body; other methods are refused.
func TestMethodsOfEveryPage(t *testing.T) {
	b := open(t, setOf(t, map[string]string{"default": redistest.Standalone(t).URL}))
	do := func(method, page string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, b.base+page, nil)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		b.h.ServeHTTP(w, r)
		return w
	}
	for _, page := range []string{"", "connection", "keys", "limits", "sessions", "cache", "locks", "cron", "admin.css", "admin.js", "icon.svg"} {
		get, head := do("GET", page), do("HEAD", page)
		if get.Code != 200 || head.Code != 200 || head.Body.Len() != 0 || get.Body.Len() == 0 || get.Header().Get("Content-Type") != head.Header().Get("Content-Type") {
			t.Errorf("%q: GET %d with %d bytes, HEAD %d with %d", page, get.Code, get.Body.Len(), head.Code, head.Body.Len())
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			if w := do(method, page); w.Code != 405 && w.Code != 403 || w.Code == 405 && w.Header().Get("Allow") != "GET" {
				t.Errorf("%s %q: %d, Allow %q", method, page, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	if w := do("GET", "act"); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET act: %d", w.Code)
	}
	for page, want := range map[string]int{"nothing.html": 404, "style.css": 404, "admin.css.map": 404, "nothing": 307} {
		if w := do("GET", page); w.Code != want {
			t.Errorf("%s: %d, want %d", page, w.Code, want)
		}
	}
}

// Files are cached for as long as their address holds, pages never.
func TestAssetsAreCachedByTheirHash(t *testing.T) {
	b := open(t, setOf(t, map[string]string{"default": "redis://127.0.0.1:1"}))
	body := b.see("")
	for name, contentType := range map[string]string{"admin.css": "text/css; charset=utf-8", "admin.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		m := regexp.MustCompile(`"(` + regexp.QuoteMeta(name) + `\?v=[0-9a-f]{12})"`).FindStringSubmatch(body)
		if m == nil {
			t.Errorf("%s is not linked by its hash", name)
			continue
		}
		for page, cached := range map[string]string{m[1]: "private, max-age=31536000, immutable", name: "no-store"} {
			w := httptest.NewRecorder()
			b.h.ServeHTTP(w, httptest.NewRequest("GET", b.base+page, nil))
			if w.Code != 200 || w.Header().Get("Content-Type") != contentType || w.Header().Get("Cache-Control") != cached {
				t.Errorf("%s: %d %v", page, w.Code, w.Header())
			}
		}
	}
}

// The authorizer sees every request, and its user is shown as text.
func TestTheAuthorizerIsAskedForEveryRequest(t *testing.T) {
	asked := map[string]int{}
	b := open(t, setOf(t, map[string]string{"default": redistest.Standalone(t).URL}), admin.WithAuthorizer(func(r *http.Request) (admin.Access, error) {
		asked[r.URL.Path]++
		return admin.Access{User: `<b>eve</b>"`, Read: true}, nil
	}))
	pages := []string{"", "keys", "admin.css", "admin.js", "icon.svg", "nothing.html", "confirm"}
	for _, page := range pages {
		_, body := b.get(page)
		if strings.Contains(body, "<b>eve") {
			t.Errorf("%q: the user's name is markup", page)
		}
	}
	b.post("act", "what", "x")
	for _, page := range append(pages, "act") {
		if n := asked["/admin/"+page]; n != 1 {
			t.Errorf("%q: asked %d times", page, n)
		}
	}
	if body := b.see("", "read only"); strings.Contains(body, "read and write") || !strings.Contains(body, "&lt;b&gt;eve&lt;/b&gt;") {
		t.Error("the page does not say who it is")
	}
}

// A name that is not known is no page, on none of them.
func TestUnknownConnections(t *testing.T) {
	set := setOf(t, map[string]string{"default": redistest.Standalone(t).URL})
	if err := set.Alias("sessions", "default"); err != nil {
		t.Fatal(err)
	}
	b := open(t, set)
	for _, page := range []string{"connection", "node", "keys", "key", "limits", "sessions", "cache", "locks", "cron"} {
		status, body := b.get(page + q("conn", "<b>nobody</b>", "key", "k", "addr", "x"))
		if status != 404 || strings.Contains(body, "<b>nobody") {
			t.Errorf("%s: %d %s", page, status, words(text(body)))
		}
		if page != "node" && page != "key" {
			b.see(page+q("conn", "sessions"), "default") // the alias leads to its connection
		}
	}
	if status, _ := b.get("events" + q("conn", "nobody", "addr", "x")); status != 404 {
		t.Errorf("events: %d", status)
	}
}

// A Redis that hangs makes no page that hangs: each ends by the time of the panel.
func TestEveryPageEndsInTime(t *testing.T) {
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	set := setOf(t, map[string]string{"default": "redis://" + proxy.Addr()})
	b := open(t, set, admin.WithTimeout(300*time.Millisecond))
	b.see("keys") // there is a connection that hangs
	proxy.Mute()
	for _, page := range []string{"keys", "key" + q("key", "k"), "limits", "limits" + q("show", "blocked"), "sessions", "cache", "locks", "cron"} {
		start := time.Now()
		status, body := b.get(page)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", page, took)
		}
		if status != 503 || !strings.Contains(body, `role="alert"`) || !strings.Contains(body, "unavailable") {
			t.Errorf("%s: %d %s", page, status, words(text(body)))
		}
	}
	if _, err := set.Get("default"); err != nil {
		t.Fatal(err)
	}
	proxy.Heal()
	redistest.Eventually(t, patience, func() bool { status, _ := b.get("keys"); return status == 200 }, "the panel does not recover")
}
