package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const searchPage = 100 // keys

// searchView is the data of the search page.
type searchView struct {
	Conn, Typed, Kind, From string
	Kinds                   []string
	Rows                    []keyRow
	Found                   found
	Next                    string // link
	Took                    time.Duration
}

var kinds = []string{"string", "hash", "list", "set", "zset", "stream"}

// maxTyped bounds the length of a pattern: the server matches it against every key.
const maxTyped = 500

// keysPage searches for keys by a pattern, a part of the name, or the whole name,
// which is shown first.
func (p *Panel) keysPage(w http.ResponseWriter, r *http.Request) {
	conn, err := p.conn(r)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	start, q := time.Now(), r.URL.Query()
	v := searchView{Conn: conn.Name(), Typed: q.Get("match"), Kind: q.Get("type"), From: q.Get("cursor"), Kinds: kinds}
	if len(v.Typed) > maxTyped || v.Kind != "" && !slices.Contains(kinds, v.Kind) {
		p.failed(w, r, errBad)
		return
	}
	v.Found, err = scan(r.Context(), conn, query{match: pattern(v.Typed), kind: v.Kind, from: v.From, want: searchPage})
	if err != nil {
		p.failed(w, r, err)
		return
	}
	keys := v.Found.Keys
	if v.From == "" && v.Typed != "" && v.Kind == "" { // the key of that very name, however many there are besides
		if keys = slices.DeleteFunc(keys, func(key string) bool { return key == v.Typed }); p.mask(v.Typed) == v.Typed {
			keys = append([]string{v.Typed}, keys...)
		}
	}
	if v.Rows, err = p.rows(r.Context(), conn.Name(), conn.Client(), keys); err != nil {
		p.failed(w, r, err)
		return
	}
	slices.SortStableFunc(v.Rows, func(a, b keyRow) int {
		if exactly := a.Key == v.Typed; exactly != (b.Key == v.Typed) {
			if exactly {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Key, b.Key)
	})
	if v.Found.Next != "" {
		v.Next = link("keys", "conn", v.Conn, "match", v.Typed, "type", v.Kind, "cursor", v.Found.Next)
	}
	v.Took = time.Since(start)
	p.show(w, r, page{View: "keys", Title: "Keys", Here: "keys", Conn: conn.Name(), Body: v})
}
