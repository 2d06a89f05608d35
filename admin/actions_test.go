package admin_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// word is what a form holds of a change.
func word(pairs ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.TrimPrefix(q(pairs...), "?")))
}

// Every action on what is not registered, or not there, is refused and told to
// the audit hook; nothing is changed.
func TestActionsThatCannotBeDone(t *testing.T) {
	g, events := redistest.Standalone(t), &trail{}
	rdb, prefix := g.Client(t), redistest.Prefix(t)
	limiter, err1 := ratelimit.New(rdb, redis_rate.PerMinute(10), ratelimit.WithKeyPrefix(prefix), ratelimit.WithTimeout(patience))
	sessions, err2 := session.New(rdb, session.WithKeyPrefix(prefix), session.WithTimeouts(patience, patience))
	responses, err3 := cache.New(rdb, cache.WithKeyPrefix(prefix), cache.WithTimeouts(patience, patience))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, responses)
	set := setOf(t, map[string]string{"default": g.URL, "other": g.URL})
	b := open(t, set, admin.WithAudit(events.add), admin.WithLimiter("default", "api", limiter), admin.WithSessions("default", "shop", sessions), admin.WithCache("default", "pages", responses),
		admin.WithLocks("default", "orders", lockerOf(t, rdb, prefix)))
	for _, c := range []struct {
		pairs []string // of the change
		says  string
	}{
		{[]string{"action", "reset", "conn", "default", "label", "web", "client", "c"}, "not registered"},
		{[]string{"action", "reset", "conn", "other", "label", "api", "client", "c"}, "not registered"},
		{[]string{"action", "block", "conn", "default", "label", "web", "client", "c", "for", "15m"}, "not registered"},
		{[]string{"action", "block", "conn", "default", "label", "api", "client", "c", "for", "soon"}, "up to 720h"},
		{[]string{"action", "block", "conn", "default", "label", "api", "client", "c", "for", "0s"}, "up to 720h"},
		{[]string{"action", "block", "conn", "default", "label", "api", "client", "c", "for", "-15m"}, "up to 720h"},
		{[]string{"action", "block", "conn", "default", "label", "api", "client", "c", "for", "721h"}, "up to 720h"},
		{[]string{"action", "revoke", "conn", "other", "label", "shop", "user", "ann", "handle", "h"}, "not registered"},
		{[]string{"action", "revoke-all", "conn", "default", "label", "", "user", "ann"}, "not registered"},
		{[]string{"action", "purge", "conn", "default", "label", "images", "url", "http://h/"}, "not registered"},
		{[]string{"action", "purge", "conn", "default", "label", "images", "url", "http://h/", "soft", "yes"}, "not registered"},
		{[]string{"action", "purge-tag", "conn", "other", "label", "pages", "tag", "x"}, "not registered"},
		{[]string{"action", "purge-all", "conn", "other", "label", "pages"}, "not registered"},
		{[]string{"action", "release", "conn", "default", "key", "lockmw:v1:other:{00112233445566778899aabbccddeeff}", "owner", "o"}, "not registered"},
		{[]string{"action", "release", "conn", "other", "key", prefix + ":v1:default:{00112233445566778899aabbccddeeff}", "owner", "o"}, "not registered"},
		{[]string{"action", "release", "conn", "default", "key", prefix + ":v1:default:{00112233445566778899aabbccddeeff}", "owner", "o"}, "nothing was done"},
		{[]string{"action", "delete", "conn", "default", "key", prefix + ":gone"}, "nothing was done"},
		{[]string{"action", "delete", "conn", "default", "key", "lockmw:v1:a:{00112233445566778899aabbccddeeff}"}, "may be held twice"},
		{[]string{"action", "unblock", "conn", "default", "key", "anything"}, "no rate limit"},
	} {
		status, body, _ := b.post("act", "what", word(c.pairs...), "confirmed", "yes")
		if status != 400 || !strings.Contains(words(body), c.says) {
			t.Errorf("%v: %d %s, want %q", c.pairs, status, words(text(body)), c.says)
		}
		if e := events.last(t, c.pairs[1]); e.Err == nil || !strings.Contains(e.Err.Error(), c.says) || e.Conn != c.pairs[3] {
			t.Errorf("%v: the hook was told %+v", c.pairs, e)
		}
	}
	if n := len(rdb.Keys(t.Context(), prefix+"*").Val()); n != 0 {
		t.Errorf("%d keys were made", n)
	}
	status, _, _ := b.post("act", "what", word("action", "delete", "conn", "nobody", "key", "k"), "confirmed", "yes")
	if e := events.last(t, "delete"); status != 404 || !errors.Is(e.Err, connect.ErrUnknown) {
		t.Errorf("an unknown connection: %d %v", status, e.Err)
	}
}

// What is no change of the panel's own is refused before anything is told.
func TestFormsThatAreWrong(t *testing.T) {
	g, events := redistest.Standalone(t), &trail{}
	rdb, key := g.Client(t), redistest.Prefix(t)
	rdb.Set(t.Context(), key, 1, time.Minute)
	b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithAudit(events.add))
	good := word("action", "delete", "conn", "default", "key", key)
	for name, pairs := range map[string][]string{
		"nothing":           nil,
		"no change":         {"confirmed", "yes"},
		"not confirmed":     {"what", good},
		"half confirmed":    {"what", good, "confirmed", "no"},
		"cut off":           {"what", good[:len(good)-5], "confirmed", "yes"},
		"in the clear":      {"what", "action=delete&key=" + key, "confirmed", "yes", "action", "delete", "key", key},
		"another action":    {"what", word("action", "rename", "conn", "default", "key", key), "confirmed", "yes"},
		"in another letter": {"what", word("action", "Delete", "conn", "default", "key", key), "confirmed", "yes"},
		"of no key":         {"what", word("action", "delete", "conn", "default"), "confirmed", "yes"},
		"too large":         {"what", good, "confirmed", "yes", "padding", strings.Repeat("x", 70<<10)},
	} {
		status, body, _ := b.post("act", pairs...)
		if name == "cut off" && status == 400 { // another key, or none
			events.all = nil
			continue
		}
		if status != 400 || !strings.Contains(body, `role="alert"`) {
			t.Errorf("%s: %d %s", name, status, words(text(body)))
		}
	}
	r := httptest.NewRequest("POST", "/admin/act?"+url.Values{"what": {good}, "confirmed": {"yes"}}.Encode(), nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	if b.h.ServeHTTP(w, r); w.Code != 400 {
		t.Errorf("a change in the address: %d", w.Code)
	}
	if len(events.all) != 0 || rdb.Exists(t.Context(), key).Val() != 1 {
		t.Errorf("the hook was told %v", events.all)
	}
}

// An authorizer may change its mind between the confirmation and the change.
func TestARightThatIsGone(t *testing.T) {
	g, events := redistest.Standalone(t), &trail{}
	rdb, key := g.Client(t), redistest.Prefix(t)
	rdb.Set(t.Context(), key, 1, time.Minute)
	access, reason := admin.Access{User: "ann", Read: true, Write: true}, error(nil)
	b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithAudit(events.add),
		admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return access, reason }))
	what := whatField.FindStringSubmatch(b.see("confirm" + q("action", "delete", "conn", "default", "key", key)))[1]
	access.Write = false
	if status, body, _ := b.post("act", "what", what, "confirmed", "yes"); status != 403 || !strings.Contains(body, "but not change anything") {
		t.Errorf("without Write: %d %s", status, body)
	}
	access, reason = admin.Access{User: "ann", Read: true, Write: true}, errors.New("the directory is down")
	if status, body, _ := b.post("act", "what", what, "confirmed", "yes"); status != 403 || strings.Contains(body, "directory") {
		t.Errorf("with an error: %d %s", status, body)
	}
	if rdb.Exists(t.Context(), key).Val() != 1 || len(events.all) != 0 {
		t.Errorf("the key is gone, or the hook was told: %v", events.all)
	}
	reason = nil
	if status, _, h := b.post("act", "what", what, "confirmed", "yes"); status != 303 || h.Get("Location") != "keys?conn=default&done=delete" {
		t.Errorf("with Write: %d %v", status, h)
	}
	events.last(t, "delete")
	b.see("keys"+q("conn", "default", "done", "delete"), "The key was deleted.")
	if body := b.see("keys" + q("conn", "default", "done", "<b>nonsense</b>")); strings.Contains(body, `role="status"`) {
		t.Error("a notice of nothing")
	}
}

// A panel without a hook does what was confirmed.
func TestWithoutAnAuditHook(t *testing.T) {
	g := redistest.Standalone(t)
	rdb, key := g.Client(t), redistest.Prefix(t)
	rdb.Set(t.Context(), key, 1, time.Minute)
	open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithAudit(nil)).confirm("confirm" + q("action", "delete", "conn", "default", "key", key))
	if rdb.Exists(t.Context(), key).Val() != 0 {
		t.Error("the key is still there")
	}
}

// The confirmation of every action says what will be done, and to what.
func TestEveryConfirmationSaysWhatItDoes(t *testing.T) {
	b := open(t, setOf(t, map[string]string{"default": redistest.Standalone(t).URL}))
	const limit = "ratelimit:v1:10-per-60s:{00112233445566778899aabbccddeeff}"
	for action, c := range map[string]struct {
		pairs []string
		title string
		facts map[string]string
	}{
		"delete":     {[]string{"key", "<b>k</b>"}, "Delete a key?", map[string]string{"Key": "<b>k</b>"}},
		"unblock":    {[]string{"key", limit}, "Unblock a client?", map[string]string{"Key": limit}},
		"reset":      {[]string{"client", "203.0.113.7", "label", "api"}, "Unblock a client?", map[string]string{"Client": "203.0.113.7", "Of": "api"}},
		"block":      {[]string{"client", "203.0.113.7", "label", "api", "for", "15m"}, "Block a client?", map[string]string{"Client": "203.0.113.7", "For": "15m"}},
		"revoke":     {[]string{"user", "ann", "label", "shop", "handle", "h"}, "Revoke a session?", map[string]string{"User": "ann", "Session": "h"}},
		"revoke-all": {[]string{"user", "ann", "label", "shop"}, "Revoke all sessions of a user?", map[string]string{"User": "ann"}},
		"purge":      {[]string{"url", "http://h/?a=<b>", "label", "pages", "soft", "yes"}, "Purge a URL?", map[string]string{"URL": "http://h/?a=<b>", "Softly": "yes"}},
		"purge-tag":  {[]string{"tag", "shelf", "label", "pages"}, "Purge a tag?", map[string]string{"Tag": "shelf"}},
		"purge-all":  {[]string{"label", "pages"}, "Purge the whole cache?", map[string]string{"Of": "pages"}},
		"release":    {[]string{"key", "lockmw:v1:a:{00112233445566778899aabbccddeeff}", "owner", "host:1"}, "Take a lock from its holder?", map[string]string{"Holder": "host:1"}},
	} {
		body := b.see("confirm" + q(append([]string{"action", action, "conn", "default"}, c.pairs...)...))
		harmless(t, action, body)
		got := facts(body)
		for name, want := range c.facts {
			if got[name] != want {
				t.Errorf("%s: %s: got %q, want %q", action, name, got[name], want)
			}
		}
		if got["Connection"] != "default" || !strings.Contains(words(text(body)), c.title) || strings.Contains(body, "<b>") {
			t.Errorf("%s: %s", action, words(text(body)))
		}
	}
}
