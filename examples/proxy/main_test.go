package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestProxy(t *testing.T) {
	var calls atomic.Int64
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%s %s %d", r.Method, r.URL, n)
	}))
	defer origin.Close()
	for name, redisURL := range map[string]string{"embedded": "", "redis": redistest.Standalone(t).URL} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			r, w := io.Pipe()
			done := make(chan error, 1)
			go func() {
				defer w.Close()
				done <- run(ctx, "127.0.0.1:0", origin.URL, redisURL, w)
			}()
			defer func() {
				cancel()
				if err := <-done; err != nil {
					t.Errorf("stopped with %v", err)
				}
			}()
			base := ""
			for lines := bufio.NewScanner(r); base == "" && lines.Scan(); {
				if rest, ok := strings.CutPrefix(lines.Text(), "proxy: "); ok {
					base, _, _ = strings.Cut(rest, " ")
				}
			}
			go io.Copy(io.Discard, r)
			get := func() (string, string) {
				resp, err := http.Get(base + "/page?of=" + name)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, _ := io.ReadAll(resp.Body)
				return string(b), resp.Header.Get("Cache-Status")
			}
			first, status := get()
			if !strings.Contains(status, "stored") || !strings.HasPrefix(first, "GET /page?of="+name) {
				t.Errorf("first: %q, %s", first, status)
			}
			if second, status := get(); second != first || !strings.Contains(status, "hit") {
				t.Errorf("second: %q, %s", second, status)
			}
		})
	}
	if err := run(t.Context(), "127.0.0.1:0", "nowhere", "", io.Discard); err == nil {
		t.Error("a relative origin was taken")
	}
}
