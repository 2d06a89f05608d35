package admin_test

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/internal/redistest"
)

// tagOf is a hash that places keys on all masters of a cluster.
func tagOf(i int) string { return "{" + hashOf(fmt.Sprint(i)) + "}" }

// kindsOfKeys writes n keys of each kind that has a page, under the standard
// prefixes, and returns what finds a key's number in a page.
func kindsOfKeys(t *testing.T, rdb redis.UniversalClient, name string, n int) map[string]*regexp.Regexp {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	pipe := rdb.Pipeline()
	numbers := map[string]int{}
	token := func(i int) string { return fmt.Sprintf("%043d", i) }
	for i := range n {
		numbers[hashOf(fmt.Sprint(i))] = i
		pipe.Set(ctx, "ratelimit:v1:"+name+":"+tagOf(i), fmt.Sprintf("1000000:%d:1000000", now.UnixMicro()), time.Minute)
		pipe.Set(ctx, "lockmw:v1:"+name+":"+tagOf(i), fmt.Sprintf("ha:1|%d|9000|1000|0", now.Add(time.Hour).UnixMilli()), time.Minute)
		pipe.HSet(ctx, "cron:v1:"+name+":"+tagOf(i), "f", i, "start", now.UnixMilli(), "done", now.UnixMilli(), "host", "host", "n", 1)
		pipe.Set(ctx, "session:v1:"+name+":"+token(i), "\x00\x01", time.Minute)
		pipe.Set(ctx, fmt.Sprintf("cache:v2:%s:{64.%d}:e:%s:0", name, i%64, hashOf(fmt.Sprint(i))), "nonsense", time.Minute)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	return map[string]*regexp.Regexp{
		"limits":   regexp.MustCompile(`href="key\?[^"]*ratelimit%3Av1%3A` + name + `%3A%7B([0-9a-f]{32})%7D"`),
		"locks":    regexp.MustCompile(`href="key\?[^"]*lockmw%3Av1%3A` + name + `%3A%7B([0-9a-f]{32})%7D"`),
		"cron":     regexp.MustCompile(`href="key\?[^"]*cron%3Av1%3A` + name + `%3A%7B([0-9a-f]{32})%7D"`),
		"sessions": regexp.MustCompile(`href="key\?[^"]*session%3Av1%3A` + name + `%3A([0-9]{43})"`),
		"cache":    regexp.MustCompile(`href="key\?[^"]*cache%3Av2%3A` + name + `%3A[^"]*e%3A([0-9a-f]{32})%3A0"`),
	}
}

// Every list shows each of its keys, page by page, on every topology.
func TestEveryListGoesOnToItsEnd(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		const n = 180
		name := redistest.Prefix(t)
		kinds := kindsOfKeys(t, g.Client(t), name, n)
		b := open(t, setOf(t, map[string]string{"default": g.URL}))
		for page, key := range kinds {
			seen, pages := map[string]int{}, 0
			for at := page; at != ""; pages++ {
				body := b.see(at)
				onPage := map[string]bool{}
				for _, m := range key.FindAllStringSubmatch(body, -1) {
					onPage[m[1]] = true
				}
				for hash := range onPage {
					seen[hash]++
				}
				if at = next(body); at != "" && !strings.Contains(at, "cursor=") {
					t.Fatalf("%s goes on at %s", page, at)
				}
				if pages > 100 {
					t.Fatalf("%s does not end", page)
				}
			}
			if len(seen) != n || pages < 2 {
				t.Errorf("%s: %d of %d keys on %d pages", page, len(seen), n, pages)
			}
		}
	})
}

// Cursors, prefixes and the like that no page has made are refused by every list.
func TestWrongParametersOfEveryList(t *testing.T) {
	b := open(t, setOf(t, map[string]string{"default": redistest.Standalone(t).URL}))
	for _, page := range []string{"limits", "locks", "cron", "sessions", "cache", "keys"} {
		for _, wrong := range []string{q("cursor", "nonsense"), q("cursor", "AYAA"), q("cursor", strings.Repeat("A", 500)), q("source", "other:v1:"), q("source", "*")} {
			if page == "keys" && strings.Contains(wrong, "source") {
				continue
			}
			status, body := b.get(page + wrong)
			if status != 400 || !strings.Contains(body, `role="alert"`) {
				t.Errorf("%s%s: %d %s", page, wrong, status, words(text(body)))
			}
		}
	}
}

// What has the name of ours and another type or form is on its list, and harms none.
func TestListsOfWhatOthersWrote(t *testing.T) {
	server := redistest.NewServer(t)
	rdb, ctx := server.Client(t), t.Context()
	b := open(t, setOf(t, map[string]string{"default": server.URL()}))
	names := map[string]string{
		"limits": "ratelimit:v1:a:" + tagOf(1), "locks": "lockmw:v1:a:" + tagOf(1), "cron": "cron:v1:a:" + tagOf(1),
		"sessions": "session:v1:a:" + strings.Repeat("A", 43), "cache": "cache:v2:a:{1.0}:e:" + hashOf("1") + ":0",
	}
	for page, key := range names {
		for what, write := range map[string]func(){
			"a string": func() { rdb.Set(ctx, key, "<script>alert(1)</script>", 0) },
			"bytes":    func() { rdb.Set(ctx, key, "\x00\xff\x1b", 0) },
			"nothing":  func() { rdb.Set(ctx, key, "", 0) },
			"a hash": func() {
				rdb.HSet(ctx, key, "<script>", "<script>", "host", "<script>", "err", "<script>", "f", "<script>", "start", "x")
			},
			"a list":     func() { rdb.RPush(ctx, key, "<script>") },
			"a set":      func() { rdb.SAdd(ctx, key, "<script>") },
			"a zset":     func() { rdb.ZAdd(ctx, key, redis.Z{Score: 1e300, Member: "<script>"}) },
			"a stream":   func() { rdb.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []any{"<script>", "<script>"}}) },
			"a big hash": func() { rdb.HSet(ctx, key, "err", strings.Repeat("<script>", 200_000)) },
			"a big text": func() { rdb.Set(ctx, key, strings.Repeat("<script>", 200_000), 0) },
		} {
			rdb.Del(ctx, key)
			write()
			for _, at := range []string{page, "key" + q("key", key), "keys" + q("match", key)} {
				body := b.see(at)
				harmless(t, page+" of "+what, body)
				if len(body) > 300_000 {
					t.Errorf("%s: %s is %d bytes large", at, what, len(body))
				}
			}
		}
		rdb.Del(ctx, key)
	}
}

// Lists of a Redis without keys say so, and how many keys there are.
func TestEmptyLists(t *testing.T) {
	server := redistest.NewServer(t)
	b := open(t, setOf(t, map[string]string{"default": server.URL()}))
	for _, page := range []string{"limits", "locks", "cron", "sessions", "cache", "keys"} {
		body := b.see(page, "all 0 keys were looked at")
		if next(body) != "" || !strings.Contains(body, `class="empty"`) {
			t.Errorf("%s: %s", page, words(text(body)))
		}
	}
	server.Client(t).Set(t.Context(), "other", 1, 0)
	for _, page := range []string{"limits", "locks", "cron", "sessions", "cache"} {
		b.see(page, "all 1 keys were looked at", `class="empty"`)
	}
}

// Two applications on one Redis are told apart by their prefixes.
func TestPrefixesToChooseFrom(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	own, others := lockerOf(t, rdb, "mine"), lockerOf(t, rdb, "lockmw")
	hold(t, own.Acquire, "a")
	hold(t, others.Acquire, "b")
	b := open(t, setOf(t, map[string]string{"default": server.URL()}), admin.WithLocks("", "", own))
	chosen := b.see("locks", "<option selected>mine:v1:", "<option>lockmw:v1:")
	if keys := keysOn(chosen); len(keys) != 1 || !strings.HasPrefix(keys[0], "mine:v1:") {
		t.Errorf("the application's own: %v", keys)
	}
	if keys := keysOn(b.see("locks" + q("source", "lockmw:v1:"))); len(keys) != 1 || !strings.HasPrefix(keys[0], "lockmw:v1:") {
		t.Errorf("the others': %v", keys)
	}
}

// keysOn are the keys that a page links to, each once.
func keysOn(body string) []string {
	var keys []string
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`href="(key\?[^"]+)"`).FindAllStringSubmatch(body, -1) {
		if _, key, ok := strings.Cut(html.UnescapeString(m[1]), "&key="); ok && !seen[key] {
			seen[key] = true
			keys = append(keys, strings.ReplaceAll(key, "%3A", ":"))
		}
	}
	return keys
}

// Of more kinds of bytes than fit in a pattern a search takes what glob allows.
func TestPatternsOfASearch(t *testing.T) {
	server := redistest.NewServer(t)
	rdb, ctx := server.Client(t), t.Context()
	for _, key := range []string{"a", "ab", "abc", "b", "a*b", "a?c", "[x]", "A"} {
		rdb.Set(ctx, key, 1, 0)
	}
	b := open(t, setOf(t, map[string]string{"default": server.URL()}))
	for typed, want := range map[string]string{
		"": "A [x] a a*b a?c ab abc b", "b": "b a*b ab abc", "ab": "ab abc", "a*": "a a*b a?c ab abc", "a?": "ab", "[ab]": "a b", `a\*b`: "a*b", "zzz": "", "*b": "a*b ab b",
	} {
		var got []string
		for _, r := range table(t, b.see("keys"+q("match", typed)), "Key") {
			got = append(got, r["Key"])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", typed, strings.Join(got, " "), want)
		}
	}
}
