package ratelimit_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/clientip"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.FieldsFunc(l.text.String(), func(c rune) bool { return c == '\n' })
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// overUnix serves h on a unix socket. The client's own socket has a name if it
// is asked for.
func overUnix(t *testing.T, h http.Handler, named bool) func(forwarded string) *http.Response {
	t.Helper()
	dir := t.TempDir()
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
	var dials atomic.Int32
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		if named {
			dialer.LocalAddr = &net.UnixAddr{Name: filepath.Join(dir, fmt.Sprint("c", dials.Add(1))), Net: "unix"}
		}
		return dialer.DialContext(ctx, "unix", ln.Addr().String())
	}}}
	t.Cleanup(client.CloseIdleConnections)
	return func(forwarded string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://unix/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
}

// Requests over a unix socket have no address. That all of them share one key
// is said, also by a limiter that was told nothing of addresses.
func TestAUnixSocketIsLogged(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, forwarded := range []string{"", "203.0.113.5"} {
		var log, ipLog logged
		var untrusted atomic.Int32
		resolver, err := clientip.New(clientip.Config{
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Logger:         ipLog.logger(), OnUntrusted: func(*http.Request) { untrusted.Add(1) },
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, l := range map[string]*ratelimit.Limiter{
			"ByIP":    limiter(t, rdb, redis_rate.PerHour(1), ratelimit.WithKey(ratelimit.ByIP(resolver))),
			"default": limiter(t, rdb, redis_rate.PerHour(1), ratelimit.WithLogger(log.logger())),
		} {
			get := overUnix(t, l.Handler(served), name == "default")
			for i, want := range []int{200, 429, 429} {
				if got := get(forwarded).StatusCode; got != want {
					t.Errorf("%s, %q, request %d: got %d, want %d: one key for all", name, forwarded, i, got, want)
				}
			}
		}
		for name, lines := range map[string][]string{"Config.Logger": ipLog.lines(), "WithLogger": log.lines()} {
			if len(lines) != 1 || !strings.Contains(lines[0], "WARN") || !strings.Contains(lines[0], "share one key") {
				t.Errorf("%s, header %q: got %q, want one warning", name, forwarded, lines)
			}
		}
		if got := untrusted.Load(); (got == 3) != (forwarded != "") {
			t.Errorf("header %q: OnUntrusted ran %d times", forwarded, got)
		}
	}
}

func TestATrustedUnixSocket(t *testing.T) {
	var log logged
	resolver, err := clientip.New(clientip.Config{TrustUnixSocket: true, Logger: log.logger(), OnUntrusted: func(*http.Request) { t.Error("untrusted") }})
	if err != nil {
		t.Fatal(err)
	}
	for _, named := range []bool{false, true} {
		get := overUnix(t, limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(1), ratelimit.WithKey(ratelimit.ByIP(resolver))).Handler(served), named)
		for _, tc := range []struct {
			forwarded string
			want      int
		}{{"203.0.113.5", 200}, {"6.6.6.6, 203.0.113.5", 429}, {"203.0.113.6", 200}} {
			if got := get(tc.forwarded).StatusCode; got != tc.want {
				t.Errorf("%q: got %d, want %d", tc.forwarded, got, tc.want)
			}
		}
		if lines := log.lines(); len(lines) > 0 {
			t.Errorf("logged %q", lines)
		}
	}
	get := overUnix(t, limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(9), ratelimit.WithKey(ratelimit.ByIP(resolver))).Handler(served), false)
	get("")
	get("")
	if lines := log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "brings no forwarding header") {
		t.Errorf("a proxy that brings no header: logged %q", lines)
	}
}
