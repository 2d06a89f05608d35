package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/internal/redistest"
)

// The handler of refused requests learns why, and finds the headers set.
func TestTheDenyHandlerKnowsTheReason(t *testing.T) {
	set := setOf(t, map[string]string{"default": "redis://127.0.0.1:1"})
	failure := errors.New("the badge is missing")
	for name, c := range map[string]struct {
		access admin.Access
		err    error
		says   string
	}{
		"an error":      {admin.Access{Read: true, Write: true}, failure, "the badge is missing"},
		"no right":      {admin.Access{User: "eve"}, nil, "no right to read"},
		"write, unread": {admin.Access{Write: true}, nil, "no right to read"},
	} {
		var reason error
		b := open(t, set, admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return c.access, c.err }),
			admin.WithDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reason = admin.DenyReason(r.Context())
				http.Redirect(w, r, "/login", http.StatusSeeOther)
			})))
		for _, page := range []string{"", "key?key=k", "admin.css", "events?addr=x"} {
			w := httptest.NewRecorder()
			b.h.ServeHTTP(w, httptest.NewRequest("GET", "/admin/"+page, nil))
			if reason == nil || !strings.Contains(reason.Error(), c.says) || c.err != nil && !errors.Is(reason, c.err) {
				t.Errorf("%s, %q: got %v", name, page, reason)
			}
			if h := w.Header(); w.Code != 303 || h.Get("Location") != "/login" || h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" {
				t.Errorf("%s, %q: %d %v", name, page, w.Code, h)
			}
			reason = nil
		}
	}
	if err := admin.DenyReason(context.Background()); err != nil {
		t.Errorf("a context of nothing: %v", err)
	}
}

// Without a handler of one's own the response is a problem that says nothing more
// than its status.
func TestTheDefaultOfTheDenyHandler(t *testing.T) {
	b := open(t, setOf(t, map[string]string{"default": "redis://127.0.0.1:1"}), admin.WithDenyHandler(nil),
		admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return admin.Access{}, errors.New("the badge is missing") }))
	for _, method := range []string{"GET", "HEAD", "POST"} {
		w := httptest.NewRecorder()
		b.h.ServeHTTP(w, httptest.NewRequest(method, "/admin/", nil))
		if w.Code != 403 || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
		if method == "HEAD" {
			if w.Body.Len() != 0 {
				t.Errorf("HEAD has a body: %s", w.Body)
			}
			continue
		}
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body) != 2 || body["status"] != 403.0 || body["title"] != "Forbidden" {
			t.Errorf("%s: %s", method, w.Body)
		}
	}
}

// A reader sees everything that a writer sees, but the ways to change it.
func TestReadersSeeNoWayToWrite(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	everything(t, rdb)
	set := setOf(t, map[string]string{"default": server.URL()})
	writer := open(t, set)
	reader := open(t, set, admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return admin.Access{User: "rea", Read: true}, nil }))
	links := 0
	for _, page := range []string{"limits", "sessions", "cache", "locks", "cron", "keys"} {
		mine, others := reader.see(page), writer.see(page)
		if strings.Contains(mine, "confirm?") || strings.Contains(mine, `method="post"`) {
			t.Errorf("%s: a reader can write", page)
		}
		if strings.Join(keysOn(mine), " ") != strings.Join(keysOn(others), " ") {
			t.Errorf("%s: a reader sees %v, a writer %v", page, keysOn(mine), keysOn(others))
		}
		links += strings.Count(others, "confirm?")
		for _, key := range keysOn(mine) {
			if body := reader.see("key" + q("key", strings.NewReplacer("%7B", "{", "%7D", "}").Replace(key))); strings.Contains(body, "confirm?") {
				t.Errorf("%s: a reader can change it", key)
			}
		}
	}
	if links == 0 {
		t.Error("not even a writer can write")
	}
}
