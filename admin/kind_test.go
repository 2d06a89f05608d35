package admin

import (
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/session"
)

const (
	someHash  = "00112233445566778899aabbccddeeff"
	someTag   = "{" + someHash + "}"
	someToken = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_-" // the hash of one
)

func TestTheNameOfAKeySaysWhoseItIs(t *testing.T) {
	for key, want := range map[string]owner{
		"ratelimit:v1:" + someTag:                          {limitKind, "limits", "ratelimit:v1:", "", someHash},
		"ratelimit:v1:10-per-60s:" + someTag:               {limitKind, "limits", "ratelimit:v1:", "10-per-60s", someHash},
		"lockmw:v1:orders:" + someTag:                      {lockKind, "locks", "lockmw:v1:", "orders", someHash},
		"lockmw:v1:orders:" + someTag + ":m":               {lockKind, "locks", "lockmw:v1:", "orders", someHash},
		"lockmw:v1:orders:" + someTag + ":q":               {lockPart, "locks", "lockmw:v1:", "orders", someHash},
		"lockmw:v1:orders:" + someTag + ":qp":              {lockPart, "locks", "lockmw:v1:", "orders", someHash},
		"lockmw:v1:orders:" + someTag + ":p":               {lockPart, "locks", "lockmw:v1:", "orders", someHash},
		"lockmw:v1:orders:boot":                            {lockPart, "locks", "lockmw:v1:", "orders", ""},
		"cron:v1:default:" + someTag:                       {jobKind, "cron", "cron:v1:", "default", someHash},
		"cron:v1:default:" + someTag + ":w":                {jobPart, "cron", "cron:v1:", "default", someHash},
		"idempotency:v1:pay:" + someTag:                    {requestKind, "", "idempotency:v1:", "pay", someHash},
		"cache:v2:pages:{64.3}:e:" + someHash + ":0":       {cacheKind, "cache", "cache:v2:", "pages", someHash},
		"cache:v2:pages:{64.3}:log":                        {cachePart, "cache", "cache:v2:", "pages", ""},
		"cache:v2:pages:{64.3}:v:" + someHash:              {cachePart, "cache", "cache:v2:", "pages", ""},
		"session:v1:__Host-session:" + someToken:           {sessionKind, "sessions", "session:v1:", "__Host-session", someToken},
		"user:session:v1:__Host-session:" + someTag + ":s": {userKind, "sessions", "user:session:v1:", "__Host-session", someHash},
		"user:session:v1:__Host-session:" + someTag + ":e": {userKind, "sessions", "user:session:v1:", "__Host-session", someHash},
	} {
		if got, ok := standardOwner(key); !ok || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", key, got, ok, want)
		}
	}
}

func TestOtherKeysHaveNoOwner(t *testing.T) {
	for _, key := range []string{
		"", "ratelimit", "ratelimit:v1:", "ratelimit:v1:api:", "ratelimit:v1:api:{short}", "ratelimit:v2:api:" + someTag, "ratelimit:v1:api:" + someTag + ":",
		"x:ratelimit:v1:api:" + someTag, "ratelimit:v1:{api}:" + someTag, "ratelimit:v1:" + strings.Repeat("a", 65) + ":" + someTag,
		"lockmw:v1:orders:" + someTag + ":x", "lockmw:v1:orders:" + strings.ToUpper(someTag), "lockmw:v1::" + someTag, "lockmw:v1:orders:boot:",
		"cron:v1:default:" + someTag + ":q", "idempotency:v1:pay:" + someTag + ":m", "cache:v1:pages:{64.3}:log", "cache:v2:pages:{64}:log",
		"session:v1:__Host-session:short", "session:v1:__Host-session:" + someToken + "A", "user:session:v1:s:" + someTag + ":x", "user:session:v1:s",
	} {
		if got, ok := standardOwner(key); ok {
			t.Errorf("%q: got %+v", key, got)
		}
	}
}

// panelOf is a Panel that knows what the options register, without a server.
func panelOf(t *testing.T, opts ...Option) *Panel {
	t.Helper()
	p := &Panel{config: defaults()}
	for _, opt := range opts {
		opt.apply(&p.config)
	}
	p.prefixes = p.custom()
	return p
}

func offline(t *testing.T) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Keys under prefixes of the application's own are known by what it registers.
func TestKeysUnderOtherPrefixes(t *testing.T) {
	rdb := offline(t)
	locks, err1 := lockmw.New(rdb, lockmw.WithKeyPrefix("shop"), lockmw.WithName("orders"))
	responses, err2 := cache.New(rdb, cache.WithKeyPrefix("pages"))
	sessions, err3 := session.New(rdb, session.WithKeyPrefix("login"))
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = locks.Close(t.Context()) })
	t.Cleanup(func() { _ = responses.Close(t.Context()) })
	p := panelOf(t, WithLocks("default", "", locks), WithCache("default", "", responses), WithSessions("default", "people", sessions))
	own, _ := sessions.KeyPrefixes()
	for key, want := range map[string]owner{
		"shop:v1:orders:" + someTag:                    {lockKind, "locks", "shop:v1:", "orders", someHash},
		"shop:v1:orders:" + someTag + ":q":             {lockPart, "locks", "shop:v1:", "orders", someHash},
		"lockmw:v1:orders:" + someTag:                  {lockKind, "locks", "lockmw:v1:", "orders", someHash},
		"pages:v2:default:{64.3}:e:" + someHash + ":0": {cacheKind, "cache", "pages:v2:", "default", someHash},
		own + someToken:                                {sessionKind, "sessions", own, "people", someToken},
		"user:" + own + someTag + ":s":                 {userKind, "sessions", "user:" + own, "people", someTag + ":s"},
	} {
		if got, ok := p.ownerOf(key); !ok || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", key, got, ok, want)
		}
	}
	for _, key := range []string{"shop:v1:orders:x", "shop:v2:orders:" + someTag, "other:v1:orders:" + someTag} {
		if got, ok := p.ownerOf(key); ok {
			t.Errorf("%s: got %+v", key, got)
		}
	}
	for standard, want := range map[string][]string{
		"lockmw:v1:": {"lockmw:v1:", "shop:v1:"}, "cache:v2:": {"cache:v2:", "pages:v2:"}, "cron:v1:": {"cron:v1:"},
		"session:v1:": {"session:v1:", own}, "ratelimit:v1:": {"ratelimit:v1:"},
	} {
		if got := p.sources(standard); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", standard, got, want)
		}
	}
}

func TestEscapeGlob(t *testing.T) {
	for in, want := range map[string]string{"": "", "session:v1:": "session:v1:", "a*b?c[d]e\\f": `a\*b\?c\[d]e\\f`} {
		if got := escapeGlob(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestPattern(t *testing.T) {
	for typed, want := range map[string]string{"": "*", "abc": "*abc*", "a*": "a*", "a?": "a?", "[ab]": "[ab]", `a\*`: `a\*`, "a]b": "*a]b*", " ": "* *"} {
		if got := pattern(typed); got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
}

// What is masked and hidden, and what is not.
func TestSecrets(t *testing.T) {
	rdb := offline(t)
	sessions, err := session.New(rdb, session.WithKeyPrefix("login"))
	if err != nil {
		t.Fatal(err)
	}
	own, _ := sessions.KeyPrefixes()
	p := panelOf(t, WithSessions("default", "", sessions), WithHiddenKeys("mail:", "card:"))
	open := panelOf(t, WithSessions("default", "", sessions), WithHiddenKeys("mail:"), WithSessionValues(true))
	for key, c := range map[string]struct {
		masked           string
		hidden, openHide bool
	}{
		"plain":                       {"plain", false, false},
		"mail:1":                      {"mail:1", true, true},
		"card:1":                      {"card:1", true, false},
		"xmail:1":                     {"xmail:1", false, false},
		"scs:session:secret-token":    {"scs:session:" + masked, true, false},
		own + someToken:               {own + someToken, true, false},
		"session:v1:s:" + someToken:   {"session:v1:s:" + someToken, true, false},
		"session:v1:anything at all":  {"session:v1:anything at all", true, false},
		"idempotency:v1:p:" + someTag: {"idempotency:v1:p:" + someTag, true, false},
		"lockmw:v1:l:" + someTag:      {"lockmw:v1:l:" + someTag, false, false},
	} {
		if got := p.mask(key); got != c.masked {
			t.Errorf("%s: masked as %q, want %q", key, got, c.masked)
		}
		if got := p.hides(key) != ""; got != c.hidden {
			t.Errorf("%s: hidden %v, want %v", key, got, c.hidden)
		}
		if got := open.hides(key) != ""; got != c.openHide {
			t.Errorf("%s with WithSessionValues: hidden %v, want %v", key, got, c.openHide)
		}
	}
	for value, want := range map[string]bool{"": false, "\x00": false, "\x00\x01": true, "\x00\x02rest": true, "\x00\x03": false, "{}": false, "x\x00\x01": false} {
		if got := session.IsEncoded(value); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

// Keys that must not just be deleted, with the reason.
func TestKeysThatAreKept(t *testing.T) {
	p := panelOf(t)
	for key, want := range map[string]string{
		"plain": "", "ratelimit:v1:a:" + someTag: "", "session:v1:s:" + someToken: "", "idempotency:v1:p:" + someTag: "", "cache:v2:a:{1.0}:log": "",
		"lockmw:v1:a:" + someTag: "held twice", "lockmw:v1:a:" + someTag + ":m": "held twice", "lockmw:v1:a:" + someTag + ":qp": "held twice", "lockmw:v1:a:boot": "held twice",
		"cron:v1:a:" + someTag: "run again", "cron:v1:a:" + someTag + ":w": "run again", "user:session:v1:s:" + someTag + ":w": "revoke them instead",
	} {
		if got := p.keeps(key); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}
