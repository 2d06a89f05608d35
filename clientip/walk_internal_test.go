package clientip

import (
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/forwarded"
)

// elements reads a list from the left, as RFC 9110, section 5.6, says it. It
// reports false for one that does not follow the grammar of RFC 7239.
func elements(list string) (all []string, ok bool) {
	for start, i := 0, 0; ; i++ {
		if i == len(list) || list[i] == ',' {
			element := strings.Trim(list[start:i], " \t")
			if element != "" {
				all = append(all, element)
			}
			if start = i + 1; i >= len(list) {
				break
			}
			continue
		}
		if list[i] == '"' {
			if i == 0 || list[i-1] != '=' {
				return nil, false
			}
			_, rest, closed := forwarded.CutQuoted(list[i+1:])
			if !closed {
				return nil, false
			}
			i = len(list) - len(rest) - 1
		}
	}
	for _, element := range all {
		for rest := element; rest != ""; {
			if rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != ';' {
				var ok bool
				if _, _, rest, ok = forwarded.CutPair(rest); !ok {
					return nil, false
				}
			}
			rest = strings.TrimLeft(rest, " \t")
			if rest != "" && rest[0] != ';' {
				return nil, false
			}
			rest = strings.TrimPrefix(rest, ";")
		}
	}
	return all, true
}

// FuzzForwardedFromTheRight: a list that follows the grammar has the same
// elements read from the right as from the left.
func FuzzForwardedFromTheRight(f *testing.F) {
	for _, seed := range []string{
		`for=192.0.2.43, for="[2001:db8:cafe::17]"`, `for=203.0.113.5;host="a,for=6.6.6.6;b"`, `a="\"",b="\\",c=",",d="\\\"",`,
		`for="_gazonk"`, `For="[2001:db8:cafe::17]:4711"`, `for=192.0.2.60;proto=http;by=203.0.113.43`, `for=192.0.2.43,for="[2001:db8::1]",for=unknown`, `;, ;;`, `a="`, `"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if len(list) > maxHeaderBytes {
			return
		}
		want, ok := elements(list)
		if !ok {
			return
		}
		for rest := list; rest != ""; {
			entry, left, ok := cutLast(rest, maxHeaderBytes, forwarded.LastComma)
			if !ok {
				t.Fatalf("%q cannot be cut from the right", list)
			}
			if rest = left; entry == "" {
				continue
			}
			if len(want) == 0 || want[len(want)-1] != entry {
				t.Fatalf("%q: from the right comes %q, from the left %q", list, entry, want)
			}
			want = want[:len(want)-1]
		}
		if len(want) > 0 {
			t.Fatalf("%q: from the right %q is missing", list, want)
		}
	})
}
