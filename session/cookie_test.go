package session_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// FuzzTokens: the tokens of a request are those that net/http finds in its cookies.
func FuzzTokens(f *testing.F) {
	token, other := strings.Repeat("a", 43), strings.Repeat("-", 43)
	for _, lines := range []string{
		"", "session=" + token, "session=" + token + "; session=" + other, `session="` + token + `"`, "a=b; session=" + token + ";c",
		" session =" + token + " ; x=y", "\tsession=" + token + "\t", "session= " + token, "session=" + token + "=", "Session=" + token,
		"session=" + token + "\nsession=" + other, ";;;session=" + token, "session", `session="`, `session=""` + token, "=" + token, "sess ion=" + token,
		strings.Repeat("session="+token+";", 6), strings.Repeat("x=y;", 99) + "session=" + token, strings.Repeat("x=y;", 5000) + "session=" + token,
		"session\x00=" + token, "session=" + token + "\x7f", "session=" + token[1:] + "\u00e9",
	} {
		f.Add(lines)
	}
	m, err := session.New(redistest.Standalone(f).Client(f), session.WithCookie(session.Cookie{Name: "session", Insecure: true}))
	if err != nil {
		f.Fatal(err)
	}
	wellFormed := func(v string) bool {
		return len(v) == 43 && strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
	}
	f.Fuzz(func(t *testing.T, lines string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if lines != "" {
			r.Header["Cookie"] = strings.Split(lines, "\n")
		}
		var want []string
		for _, c := range r.CookiesNamed("session") {
			if wellFormed(c.Value) && len(want) < 4 {
				want = append(want, c.Value)
			}
		}
		if got := session.Tokens(m, r); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, net/http has %q", lines, got, want)
		}
		if lines := r.Header["Cookie"]; len(lines) == 1 && strings.Count(lines[0], ";") < 100 && len(want) <= 1 {
			if n := testing.AllocsPerRun(1, func() { session.Tokens(m, r) }); n > 1 { // the slice
				t.Errorf("%q: %v allocations", lines, n)
			}
		}
	})
}
