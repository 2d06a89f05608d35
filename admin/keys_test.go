package admin_test

import (
	"errors"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

var goOn = regexp.MustCompile(`<a class="button" href="([^"]+)">Go on</a>`)

// next is where a page says it goes on, "" at the end.
func next(body string) string {
	if m := goOn.FindStringSubmatch(body); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

func TestASearchFindsEveryKeyOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		const keys = 260
		pipe := rdb.Pipeline()
		for i := range keys {
			pipe.Set(t.Context(), fmt.Sprintf("%s:%d:", prefix, i), i, 50*time.Hour)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := open(t, setOf(t, map[string]string{"default": g.URL}))
		seen, pages := map[string]int{}, 0
		name := regexp.MustCompile(`>(` + prefix + `:\d+:)</a>`)
		for page := "keys" + q("match", prefix+":*"); page != ""; pages++ {
			body := b.see(page)
			for _, m := range name.FindAllStringSubmatch(body, -1) {
				seen[m[1]]++
			}
			page = next(body)
		}
		if len(seen) != keys || pages < 2 {
			t.Errorf("%d keys on %d pages", len(seen), pages)
		}
		// A part of a name finds it as well, and the whole name puts it first.
		b.see("keys"+q("match", prefix+":25:"), prefix+":25:")
		b.see("key"+q("key", prefix+":25:"), "string", "2 d 1 h", "<pre>25</pre>")
	})
}

func TestASearchByType(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	rdb.Set(t.Context(), prefix+":s", 1, time.Minute)
	rdb.SAdd(t.Context(), prefix+":m", 1)
	b := open(t, setOf(t, map[string]string{"default": redistest.Standalone(t).URL}))
	if body := b.see("keys"+q("match", prefix+"*", "type", "set"), prefix+":m"); strings.Contains(body, prefix+":s") {
		t.Error("a string is among the sets")
	}
	for _, wrong := range []string{q("type", "nonsense"), q("cursor", "nonsense"), q("match", strings.Repeat("x", 501)), q("cursor", "AQBhOjE")} {
		if status, _ := b.get("keys" + wrong); status != 400 {
			t.Errorf("%s is answered %d", wrong, status)
		}
	}
}

// hostile are names and values that want to be something else.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'"--></style><svg onload=alert(1)>`, "javascript:alert(1)", `{{.}}`,
	"\x00\x1b[31mred\x07\x7f", "\xff\xfe\xc3\x28 invalid", "gnp.\u202etxt.exe", "zero\u200bwidth", "line\nbreak\r\ttab", "\u2028\u2029", "", " ", "%s%n%2e%2e/../..",
}

func TestHostileKeysAndValues(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix, ctx := g.Client(t), redistest.Prefix(t), t.Context()
		b := open(t, setOf(t, map[string]string{"default": g.URL}))
		for i, text := range hostile {
			key := fmt.Sprintf("%s:%d:%s", prefix, i, text)
			other := key + ":"
			rdb.Set(ctx, key+"string", text, time.Minute)
			rdb.HSet(ctx, other+"hash", text, text)
			rdb.RPush(ctx, other+"list", text, text)
			rdb.SAdd(ctx, other+"set", text)
			rdb.ZAdd(ctx, other+"zset", redis.Z{Score: 1.5, Member: text})
			rdb.XAdd(ctx, &redis.XAddArgs{Stream: other + "stream", Values: []any{text, text}})
			for _, name := range []string{key + "string", other + "hash", other + "list", other + "set", other + "zset", other + "stream"} {
				harmless(t, name, b.see("key"+q("key", name)))
			}
		}
		body := b.see("keys" + q("match", prefix+":*"))
		harmless(t, "search", body)
		for _, want := range []string{`\x00\x1b`, `\xff\xfe\xc3`, `\u202e`, `\u200b`, `\u2028\u2029`, "&lt;script&gt;"} {
			if !strings.Contains(body, want) {
				t.Errorf("the search does not show %s", want)
			}
		}
		// Every link of the search leads to its key.
		links := regexp.MustCompile(`href="(key\?[^"]+)"`).FindAllStringSubmatch(body, -1)
		if len(links) < len(hostile)*6 {
			t.Errorf("%d links", len(links))
		}
		for _, m := range links {
			b.see(html.UnescapeString(m[1]), "Value")
		}
		harmless(t, "a search that is hostile", b.see("keys"+q("match", hostile[0])))
		if status, body := b.get("key" + q("key", hostile[1])); status != 404 {
			t.Errorf("no such key: %d", status)
		} else {
			harmless(t, "no such key", body)
		}
	})
}

// harmless checks that a page holds nothing that came from a key or value as
// anything but text.
func harmless(t *testing.T, where, body string) {
	t.Helper()
	for _, bad := range []string{"<script>", "<img", "onload=alert(1)>", "</style>", "\x00", "\x1b", "\x07", "\xff", "\u202e", "\u200b", "\u2028", `href="javascript`} {
		if strings.Contains(body, bad) {
			t.Errorf("%q: the page holds %q", where, bad)
		}
	}
}

// Of a value of 100 MB its beginning leaves Redis.
func TestLargeValuesStayWhereTheyAre(t *testing.T) {
	server := redistest.NewServer(t, redistest.WithArgs("--proto-max-bulk-len", "200mb", "--slowlog-log-slower-than", "-1"))
	rdb, ctx := server.Client(t), t.Context()
	const large = `large`
	script := `local large = string.rep(string.rep('x', 1024*1024), 100) redis.call('SET','string',` + large + `) redis.call('HSET','hash','f',` + large + `) redis.call('RPUSH','list','small',` + large + `)
for i=1,20000 do redis.call('RPUSH','mixed','e'..i) end redis.call('LSET','mixed',50,` + large + `)
redis.call('SADD','set',` + large + `) redis.call('ZADD','zset',1,` + large + `) redis.call('XADD','stream','*','f',` + large + `)`
	long := server.Options()
	long.ReadTimeout = patience
	slow := redis.NewClient(long)
	defer slow.Close()
	if err := slow.Eval(ctx, script, nil).Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	b := open(t, setOf(t, map[string]string{"default": server.URL()}))
	before := sent(t, rdb)
	for _, key := range []string{"string", "hash", "list", "mixed", "set", "zset", "stream"} {
		if body := b.see("key"+q("key", key), "MiB"); len(body) > 200_000 {
			t.Errorf("the page of %s has %d bytes", key, len(body))
		}
	}
	b.see("key"+q("key", "mixed"), "… 100 MiB", "Go on")
	b.see("keys", "mixed")
	if n := sent(t, rdb) - before; n > 2<<20 {
		t.Errorf("%d bytes left redis", n)
	}
}

// What is large under a name of this module's is none of its values, and stays
// in Redis as well.
func TestLargeValuesUnderOurNames(t *testing.T) {
	server := redistest.NewServer(t, redistest.WithArgs("--proto-max-bulk-len", "200mb"))
	options := server.Options()
	options.ReadTimeout = patience
	rdb, ctx := redis.NewClient(options), t.Context()
	defer rdb.Close()
	sessions, err := session.New(rdb, session.WithCookie(session.Cookie{Insecure: true}), session.WithTimeouts(patience, patience))
	if err != nil {
		t.Fatal(err)
	}
	own, _ := sessions.KeyPrefixes()
	const hash = "{00112233445566778899aabbccddeeff}"
	keys := map[string]string{
		"session": own + strings.Repeat("A", 43), "job": "cron:v1:x:" + hash, "window": "ratelimit:v1:x:" + hash, "bucket": "ratelimit:v1:y:" + hash,
		"request": "idempotency:v1:x:" + hash, "lock": "lockmw:v1:x:" + hash, "permits": "lockmw:v1:y:" + hash, "entry": "cache:v2:x:{1.0}:e:00112233445566778899aabbccddeeff:0",
	}
	script := `local large = string.rep(string.rep('x', 1024*1024), 30)
redis.call('SET', KEYS[1], large) redis.call('SET', KEYS[2], large) redis.call('SET', KEYS[3], large) redis.call('SET', KEYS[4], large)
redis.call('HSET', KEYS[5], 'err', large, 'host', large) redis.call('HSET', KEYS[6], '1', large, 'until', large) redis.call('HSET', KEYS[7], 's', large, 'o', large, 'r', large)
redis.call('SET', KEYS[8] .. ':m', '2|9000|1000|0|') redis.call('ZADD', KEYS[8] .. ':p', 99999999999999, large)`
	if err := rdb.Eval(ctx, script, []string{keys["session"], keys["bucket"], keys["lock"], keys["entry"], keys["job"], keys["window"], keys["request"], keys["permits"]}).Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	b := open(t, setOf(t, map[string]string{"default": server.URL()}), admin.WithSessions("default", "shop", sessions))
	before := sent(t, rdb)
	for _, page := range []string{"sessions", "cron", "limits", "limits" + q("show", "blocked"), "locks", "cache"} {
		b.see(page)
	}
	for _, key := range keys {
		if key == keys["permits"] {
			key += ":m"
		}
		b.see("key" + q("key", key))
	}
	if n := sent(t, rdb) - before; n > 1<<20 {
		t.Errorf("%d bytes left redis", n)
	}
}

func sent(t *testing.T, rdb *redis.Client) int64 {
	t.Helper()
	var n int64
	for line := range strings.Lines(rdb.Info(t.Context(), "stats").Val()) {
		fmt.Sscanf(line, "total_net_output_bytes:%d", &n)
	}
	return n
}

// Each type can be read to its end.
func TestAPreviewGoesOn(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix, ctx := g.Client(t), redistest.Prefix(t), t.Context()
		const n = 620 // more than a hash keeps in one piece
		pipe := rdb.Pipeline()
		for i := range n {
			e := fmt.Sprintf("<%d>", i)
			pipe.HSet(ctx, prefix+"hash", e, i)
			pipe.SAdd(ctx, prefix+"set", e)
			pipe.RPush(ctx, prefix+"list", e)
			pipe.ZAdd(ctx, prefix+"zset", redis.Z{Score: float64(i), Member: e})
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: prefix + "stream", Values: []any{"f", e}})
			pipe.Append(ctx, prefix+"string", e+strings.Repeat(".", 150))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		b := open(t, setOf(t, map[string]string{"default": g.URL}))
		element := regexp.MustCompile(`&lt;(\d+)&gt;`)
		for _, kind := range []string{"hash", "set", "list", "zset", "stream", "string"} {
			seen, pages := map[string]bool{}, 0
			for page := "key" + q("key", prefix+kind); page != ""; pages++ {
				body := b.see(page)
				for _, m := range element.FindAllStringSubmatch(body, -1) {
					seen[m[1]] = true
				}
				page = next(body)
			}
			if len(seen) < n-5 || kind != "string" && len(seen) != n || pages < 4 {
				t.Errorf("%s: %d elements on %d pages", kind, len(seen), pages)
			}
			for _, from := range []string{"x", "-1", "99999999999999999999999", "1;2", "(1-"} {
				if status, body := b.get("key" + q("key", prefix+kind, "from", from)); status != 200 || !strings.Contains(body, "cannot be understood") && kind != "stream" {
					t.Errorf("%s from %s: %d %s", kind, from, status, text(body))
				}
			}
		}
	})
}

func TestSessionsAndHiddenKeysAreNotShown(t *testing.T) {
	rdb, prefix, ctx := redistest.Standalone(t).Client(t), redistest.Prefix(t), t.Context()
	g := redistest.Standalone(t)
	rdb.Set(ctx, "session:v1:x:"+prefix, "hunter2", time.Minute)
	rdb.Set(ctx, prefix+":own", "\x00\x01hunter2", time.Minute)
	rdb.Set(ctx, prefix+":sealed", "\x00\x02hunter2"+strings.Repeat("hunter2", 5000), time.Minute)
	rdb.Set(ctx, prefix+":hidden", "hunter2", time.Minute)
	rdb.Set(ctx, "scs:session:hunter2"+prefix, "value", time.Minute)
	b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithHiddenKeys(prefix+":hidden"))
	for _, page := range []string{
		"key" + q("key", "session:v1:x:"+prefix), "key" + q("key", prefix+":own"), "key" + q("key", prefix+":sealed"),
		"key" + q("key", prefix+":sealed", "from", "100"), "key" + q("key", prefix+":hidden"), "keys" + q("match", "scs:session:*"), "key" + q("key", "scs:session:hunter2"+prefix),
	} {
		if body := b.see(page); strings.Contains(body, "hunter2") {
			t.Errorf("%s shows it: %s", page, text(body))
		}
	}
}
