package admin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestWritingNeedsItsOwnRight(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	rdb.Set(t.Context(), prefix, 1, 0)
	set, events := setOf(t, map[string]string{"default": redistest.Standalone(t).URL}), &trail{}
	what := whatField.FindStringSubmatch(open(t, set).see("confirm" + q("action", "delete", "conn", "default", "key", prefix)))[1]
	reader := open(t, set, admin.WithAudit(events.add), admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return admin.Access{User: "eve", Read: true}, nil }))
	if body := reader.see("key" + q("key", prefix)); strings.Contains(body, "confirm?") {
		t.Error("a reader sees a button")
	}
	if status, _ := reader.get("confirm" + q("action", "delete", "conn", "default", "key", prefix)); status != 403 {
		t.Errorf("the confirmation is answered %d", status)
	}
	if status, _, _ := reader.post("act", "what", what, "confirmed", "yes"); status != 403 {
		t.Errorf("the write is answered %d", status)
	}
	if n := rdb.Exists(t.Context(), prefix).Val(); n != 1 || len(events.all) != 0 {
		t.Errorf("the key is gone, or the hook was told: %v", events.all)
	}
}

func TestWritesOfOtherOriginsAreRejected(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	rdb.Set(t.Context(), prefix, 1, 0)
	b := open(t, setOf(t, map[string]string{"default": redistest.Standalone(t).URL}), admin.WithTrustedOrigins("https://ops.example"))
	what := whatField.FindStringSubmatch(b.see("confirm" + q("action", "delete", "conn", "default", "key", prefix)))[1]
	send := func(name, value string) int {
		r := httptest.NewRequest("POST", "/admin/act", strings.NewReader("confirmed=yes&what="+what))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(name, value)
		w := httptest.NewRecorder()
		b.h.ServeHTTP(w, r)
		return w.Code
	}
	for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		if status := send(h[0], h[1]); status != 403 {
			t.Errorf("%v is answered %d", h, status)
		}
	}
	for _, page := range []string{"confirm", "act", "delete"} { // GET changes nothing
		b.get(page + q("action", "delete", "conn", "default", "key", prefix, "confirmed", "yes", "what", what))
	}
	if rdb.Exists(t.Context(), prefix).Val() != 1 {
		t.Fatal("the key is gone")
	}
	if status := send("Origin", "https://ops.example"); status != 303 {
		t.Errorf("a trusted origin is answered %d", status)
	}
	if rdb.Exists(t.Context(), prefix).Val() != 0 {
		t.Error("the key is still there")
	}
}

// The very key is deleted, whatever bytes it is made of.
func TestAnyKeyCanBeDeleted(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	b := open(t, setOf(t, map[string]string{"default": redistest.Standalone(t).URL}))
	for _, text := range hostile {
		key := prefix + ":" + text
		rdb.Set(t.Context(), key, 1, 0)
		b.confirm("confirm" + q("action", "delete", "conn", "default", "key", key))
		if rdb.Exists(t.Context(), key).Val() != 0 {
			t.Errorf("%q is still there", key)
		}
	}
}

func TestWhatIsNotToBeDeleted(t *testing.T) {
	b := open(t, setOf(t, map[string]string{"default": redistest.Standalone(t).URL}))
	const hash = "{00112233445566778899aabbccddeeff}"
	for _, key := range []string{
		"lockmw:v1:default:" + hash, "lockmw:v1:default:" + hash + ":q", "lockmw:v1:default:" + hash + ":m", "lockmw:v1:default:boot", "cron:v1:default:" + hash,
		"cron:v1:default:" + hash + ":w", "user:session:v1:__Host-session:" + hash + ":s", "user:session:v1:__Host-session:" + hash + ":e",
	} {
		if status, _ := b.get("confirm" + q("action", "delete", "conn", "default", "key", key)); status != 400 {
			t.Errorf("%s: %d", key, status)
		}
	}
	for _, wrong := range []string{"", q("action", "flushall"), q("action", "delete"), q("action", "delete", "key", strings.Repeat("x", 5000)), q("action", "unblock", "conn", "default", "key", "other")} {
		if status, _ := b.get("confirm" + wrong); status != 400 {
			t.Errorf("%s: %d", wrong, status)
		}
	}
	for _, what := range []string{"", "nonsense!", "AAAA"} {
		if status, _, _ := b.post("act", "what", what, "confirmed", "yes"); status != 400 {
			t.Errorf("%q: %d", what, status)
		}
	}
}
