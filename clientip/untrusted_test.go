package clientip_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/clientip"
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

func TestUntrustedPeersAndNetworks(t *testing.T) {
	var seen atomic.Int32
	var log strings.Builder
	config := clientip.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, NAT64: true,
		OnUntrusted: func(*http.Request) { seen.Add(1) }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	resolver, err := clientip.New(config)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := resolver.Within(netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::ffff:198.51.100.0/120"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		remote, forwarded, want string
		inside                  bool
	}{
		{"10.0.0.1:1", "192.0.2.9", "192.0.2.9/32", true},
		{"203.0.113.1:1", "192.0.2.9", "203.0.113.1/32", false},
		{"198.51.100.7:1", "", "198.51.100.7/32", true},
		{"[64:ff9b::192.0.2.33]:1", "", "192.0.2.33/32", true},
		{"@", "", "invalid Prefix", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tc.remote
		if tc.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tc.forwarded)
		}
		if got := resolver.Prefix(r).String(); got != tc.want || inside(r) != tc.inside {
			t.Errorf("%s %s: got %s, inside %v", tc.remote, tc.forwarded, got, inside(r))
		}
	}
	if seen.Load() != 2 || strings.Count(log.String(), "not a trusted proxy") != 1 { // one line a minute
		t.Errorf("the hook saw %d, the log says %s", seen.Load(), log.String())
	}
	if _, err := resolver.Within(netip.Prefix{}); err == nil {
		t.Error("an invalid network is accepted")
	}
}

// A trusted proxy whose header cannot be read makes its clients one, which is
// logged, and its own address is not a client's: it is in no allow list.
func TestAnUnreadableHeaderIsLogged(t *testing.T) {
	ten := netip.MustParsePrefix("10.0.0.0/8")
	for _, lines := range [][]string{{"junk"}, {"unknown"}, {"9.9.9.9, [::1"}} {
		var log logged
		config := clientip.Config{TrustedProxies: []netip.Prefix{ten}, Logger: log.logger(), OnUntrusted: func(*http.Request) { t.Error("untrusted") }}
		key := keyOf(t, config)
		config.Logger = nil
		resolver, err1 := clientip.New(config)
		if err1 != nil {
			t.Fatal(err1)
		}
		own, err2 := resolver.Within(ten)
		if err2 != nil {
			t.Fatal(err2)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:5"
		if got := key(r); got != "10.0.0.1/32" || !own(r) || len(log.lines()) > 0 {
			t.Errorf("no header: key %q, own network %v, logged %q", got, own(r), log.lines())
		}
		r.Header["X-Forwarded-For"] = lines
		for range 3 {
			if got := key(r); got != "10.0.0.1/32" || own(r) {
				t.Errorf("%q: key %q, own network %v", lines, got, own(r))
			}
		}
		if got := log.lines(); len(got) != 1 || !strings.Contains(got[0], "cannot be read") {
			t.Errorf("%q: logged %q, want one warning", lines, got)
		}
	}
}
