package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/examples/internal/exampletest"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const testPassword = "of-the-tests"

// The program runs as its own help says, on an embedded Redis and on others.
func TestTheProgram(t *testing.T) {
	binary := exampletest.Build(t)
	t.Setenv("PANEL_PASSWORD", testPassword)
	for name, redisURL := range map[string]string{"embedded": "", "standalone": redistest.Standalone(t).URL, "sentinel": redistest.Sentinel(t).URL, "cluster": redistest.Cluster(t).URL} {
		t.Run(name, func(t *testing.T) {
			base := exampletest.Start(t, binary, redisURL, "-users", "2").URL
			ask := func(path, password string) (int, string) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
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
					t.Errorf("%s: %d %s", page, status, body)
				}
			}
			stop := pay(t, base)
			redistest.Eventually(t, patience, func() bool {
				_, body := ask("/admin/locks", testPassword)
				return strings.Contains(body, "held") && strings.Contains(body, "Take away")
			}, "the lock is not seen while it is held")
			stop()
			// Its users leave something to see.
			redistest.Eventually(t, patience, func() bool {
				_, sessions := ask("/admin/sessions", testPassword)
				_, cached := ask("/admin/cache", testPassword)
				_, limits := ask("/admin/limits", testPassword)
				return strings.Contains(sessions, "user-0") && strings.Contains(cached, "/products/") && strings.Contains(limits, "counting")
			}, "the traffic leaves nothing to see")
		})
	}
}
