package session_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// An operator reads a session as it is in Redis, sealed or not, and changes
// nothing by it.
func TestInspect(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for name, opts := range map[string][]session.Option{"plain": nil, "sealed": {session.WithEncryption(make([]byte, 32))}} {
			rdb, prefix := g.Client(t), redistest.Prefix(t)
			m, err := session.New(rdb, append(opts, session.WithKeyPrefix(prefix), session.WithCookie(session.Cookie{Insecure: true}), session.WithTimeouts(10*time.Second, 10*time.Second))...)
			if err != nil {
				t.Fatal(err)
			}
			if own, legacy := m.KeyPrefixes(); !strings.HasPrefix(own, prefix) || legacy != "" {
				t.Errorf("prefixes %q, %q", own, legacy)
			}
			if all, err := m.Inspect(t.Context(), strings.Repeat("A", 43)); len(all) != 0 || err != nil {
				t.Errorf("%s: of none there is %v, %v", name, all, err)
			}
			if all, err := m.Inspect(t.Context()); len(all) != 0 || err != nil {
				t.Errorf("%s: of nothing there is %v, %v", name, all, err)
			}
			var hashes []string
			h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				m.Put(r.Context(), "basket", 3)
				if r.URL.Path == "/login" {
					if err := m.Login(r.Context(), "ann", "203.0.113.7", "Browser/1"); err != nil {
						t.Error(err)
					}
				}
			}))
			before := time.Now()
			for _, path := range []string{"/", "/login"} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
				c, _ := cookie(w)
				_, token, _ := strings.Cut(c, "=")
				sum := sha256.Sum256([]byte(token))
				hash := base64.RawURLEncoding.EncodeToString(sum[:])
				own, _ := m.KeyPrefixes()
				if rdb.Exists(t.Context(), own+hash).Val() != 1 {
					t.Fatalf("%s: there is no key %s", name, own+hash)
				}
				ends := rdb.PTTL(t.Context(), own+hash).Val()
				hashes = append(hashes, hash)
				all, err := m.Inspect(t.Context(), hash)
				s, ok := all[hash]
				if err != nil || !ok {
					t.Fatalf("%s: got %v, %v", name, all, err)
				}
				if n, _ := s.Values["basket"].(int); n != 3 || len(s.Values) != 1 {
					t.Errorf("%s: it holds %v", name, s.Values)
				}
				if s.Handle == "" || !strings.HasPrefix(hash, s.Handle) || !s.Deadline.After(before) || s.LastSeen.Before(before.Add(-time.Minute)) || s.LastSeen.After(time.Now().Add(time.Minute)) {
					t.Errorf("%s: got %+v", name, s)
				}
				if path == "/login" && (s.User != "ann" || s.Address != "203.0.113.7" || s.UserAgent != "Browser/1" || s.Created.IsZero()) || path == "/" && s.User != "" {
					t.Errorf("%s: %s: got %+v", name, path, s)
				}
				if now := rdb.PTTL(t.Context(), own+hash).Val(); now > ends {
					t.Errorf("%s: it lives longer for it, %v after %v", name, now, ends)
				}
			}
			// All at once; one that is broken does not hide the others.
			own, _ := m.KeyPrefixes()
			broken := strings.Repeat("C", 43)
			rdb.Set(t.Context(), own+broken, "x", time.Minute)
			count := redistest.Count(rdb)
			all, err := m.Inspect(t.Context(), append(hashes, broken, strings.Repeat("A", 43))...)
			if err == nil || len(all) != 2 || all[hashes[1]].User != "ann" || all[hashes[0]].User != "" {
				t.Errorf("%s: got %v, %v", name, all, err)
			}
			if n := count.Trips(); n != 1 {
				t.Errorf("%s: it took %d round trips", name, n)
			}
		}
	})
}

func TestInspectWhatIsNoSession(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	m, err := session.New(rdb, session.WithKeyPrefix(prefix), session.WithCookie(session.Cookie{Insecure: true}))
	if err != nil {
		t.Fatal(err)
	}
	own, _ := m.KeyPrefixes()
	hash := strings.Repeat("B", 43)
	for _, broken := range []string{"x", "\x00\x01", "\x00\x02" + strings.Repeat("z", 60), "{}"} {
		rdb.Set(t.Context(), own+hash, broken, time.Minute)
		if all, err := m.Inspect(t.Context(), hash); len(all) != 0 || err == nil {
			t.Errorf("%q is read as %+v", broken, all)
		}
	}
	rdb.Del(t.Context(), own+hash)
	rdb.RPush(t.Context(), own+hash, "another type")
	if all, err := m.Inspect(t.Context(), hash); len(all) != 0 || err == nil {
		t.Errorf("another type is %v, %v", all, err)
	}
}
