package admin

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzCursor(f *testing.F) {
	for _, c := range []cursor{{}, {"127.0.0.1:7000", 1 << 63}, {"[::1]:1", 7}} {
		f.Add(c.String())
	}
	f.Add("AYAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCursor(s)
		if err == nil && c.String() != s {
			t.Errorf("%q is read as %v, which is %q", s, c, c)
		}
	})
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x00\u202e\xff\n<b>\\")
	f.Fuzz(func(t *testing.T, s string) {
		back := ""
		for _, p := range printable(s) {
			if !utf8.ValidString(p.Text) || strings.ContainsAny(p.Text, "\x00\x1b\n\u202e\u200b\u2028") {
				t.Errorf("%q is shown as %q", s, p.Text)
			}
			if !p.Esc {
				back += p.Text
			}
		}
		if !strings.Contains(plain(s), back) && len(back) == len(s) && back != s {
			t.Errorf("%q became %q", s, back)
		}
		if n := len(cut(s, 10)); n > 10 {
			t.Errorf("%d bytes are left of %q", n, s)
		}
	})
}

// FuzzOwner: a key may have any name, and one that looks like this module's is
// taken apart.
func FuzzOwner(f *testing.F) {
	const hash = "{00112233445566778899aabbccddeeff}"
	for _, key := range []string{
		"", "ratelimit:v1:api:" + hash, "session:v1:x:" + strings.Repeat("A", 43), "user:session:v1:x:" + hash + ":s", "lockmw:v1:a:" + hash,
		"lockmw:v1:a:" + hash + ":m", "lockmw:v1:a:" + hash + ":qp", "lockmw:v1:a:boot", "cron:v1:a:" + hash, "cron:v1:a:" + hash + ":w", "idempotency:v1:a:" + hash,
		"cache:v2:a:{64.3}:e:00112233445566778899aabbccddeeff:0", "cache:v2:a:{1.0}:log", "cache:v2:a:{1.0}:v:x",
	} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		o, ok := standardOwner(key)
		if ok && (o.Kind == "" || !strings.HasPrefix(key, o.Source) || !strings.Contains(key, o.Name) || !strings.Contains(key, o.Hash)) {
			t.Errorf("%q is of %+v", key, o)
		}
	})
}
