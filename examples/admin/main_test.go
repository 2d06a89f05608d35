package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// The program runs as its own help says, on an embedded Redis.
func TestTheProgram(t *testing.T) {
	base := serve(t, "")
	ask := func(path, password string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			r.SetBasicAuth("operator", password)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	if status, body := ask("/products/7", ""); status != 200 || !strings.Contains(body, "product 7") {
		t.Errorf("the shop: %d %s", status, body)
	}
	for password, want := range map[string]int{"": 401, "wrong": 401, testPassword: 200} {
		if status, _ := ask("/admin/", password); status != want {
			t.Errorf("the panel with password %q: %d", password, status)
		}
	}
	for _, page := range []string{"connection", "keys", "limits", "sessions", "cache", "locks", "cron"} {
		if status, body := ask("/admin/"+page, testPassword); status != 200 {
			t.Errorf("%s on an embedded Redis: %d %s", page, status, body)
		}
	}
}
