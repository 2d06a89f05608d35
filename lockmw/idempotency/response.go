package idempotency

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// response is what is kept of a handler's response. In Redis it is one string:
//
//	version, status, number of fields, (change, name, number of values, values)…, body
//
// numbers as varints, texts with their length before them but the body, which
// is the rest.
type response struct {
	status int
	fields []field
	body   []byte
}

// field is what a handler did to one header field. The map it was given may
// have held fields of outer middlewares, which are theirs: they set them
// again when the response is replayed.
type field struct {
	change change
	name   string
	values []string
}

// change is what a handler did to a header field.
type change uint64

const (
	set change = iota
	added
	deleted
)

const responseVersion = 1

var errResponse = errors.New("idempotency: not a response")

// hop are the fields that are not kept: of one connection (RFC 9110, section
// 7.6.1), and the moment of the first answer.
var hop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authentication-Info": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Date": true,
}

// changes returns what a handler did to the header.
func changes(before, after http.Header) []field {
	var all []field
	var connection []string
	for name, values := range after {
		if http.CanonicalHeaderKey(name) == "Connection" {
			connection = append(connection, values...)
		}
	}
	named := strings.Join(connection, ",")
	skip := func(name string) bool { // a handler may write names in lower case
		return hop[http.CanonicalHeaderKey(name)] || strings.HasPrefix(name, http.TrailerPrefix) || listed(named, name)
	}
	for name, values := range after {
		old, there := before[name]
		switch {
		case skip(name) || there && slices.Equal(old, values) && (old == nil) == (values == nil):
		case len(old) > 0 && len(values) > len(old) && slices.Equal(old, values[:len(old)]):
			all = append(all, field{added, name, values[len(old):]})
		default:
			all = append(all, field{set, name, values})
		}
	}
	for name := range before {
		if _, there := after[name]; !there && !skip(name) {
			all = append(all, field{deleted, name, nil})
		}
	}
	slices.SortFunc(all, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return all
}

// listed reports whether a name is in a list of field names.
func listed(list, name string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(item), name) {
			return true
		}
	}
	return false
}

// apply makes the changes to another header. No values for a field that is set
// keep net/http from setting it.
func (p *response) apply(h http.Header) {
	for _, f := range p.fields {
		switch f.change {
		case deleted:
			delete(h, f.name)
		case added:
			h[f.name] = append(slices.Clone(h[f.name]), f.values...)
		default:
			h[f.name] = slices.Clone(f.values)
		}
	}
}

// encode returns the response as it is stored.
func (p *response) encode() []byte {
	b := make([]byte, 0, 512+len(p.body))
	b = append(b, responseVersion)
	number := func(n int) { b = binary.AppendUvarint(b, uint64(n)) }
	text := func(s string) {
		number(len(s))
		b = append(b, s...)
	}
	number(p.status)
	number(len(p.fields))
	for _, f := range p.fields {
		number(int(f.change))
		text(f.name)
		number(len(f.values))
		for _, v := range f.values {
			text(v)
		}
	}
	return append(b, p.body...)
}

// reader decodes a response; after its first failure it returns zero values.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) number() int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > 1<<31 {
		r.ok, r.b = false, nil
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

// count is a number of things that take a byte each at least.
func (r *reader) count() int {
	n := r.number()
	if n > len(r.b) {
		r.ok, r.b = false, nil
		return 0
	}
	return n
}

func (r *reader) text() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// decodeResponse is safe for any bytes: Redis is shared, and versions differ
// during a deployment. The body shares b's memory.
func decodeResponse(b []byte) (*response, error) {
	if len(b) == 0 || b[0] != responseVersion {
		return nil, errResponse
	}
	r := &reader{b: b[1:], ok: true}
	p := &response{status: r.number()}
	if !keepable(p.status) {
		return nil, errResponse
	}
	last := ""
	for range r.count() {
		f := field{change: change(r.number()), name: r.text()}
		for range r.count() {
			f.values = append(f.values, r.text())
		}
		if !r.ok || f.change > deleted || f.name <= last { // sorted, each once
			return nil, errResponse
		}
		last = f.name
		p.fields = append(p.fields, f)
	}
	if p.body = r.b; !r.ok || len(p.body) > 0 && !hasBody(p.status) {
		return nil, errResponse
	}
	return p, nil
}

// keepable are the final statuses that stand for a whole response.
func keepable(status int) bool { return status >= 200 && status <= 999 }

// hasBody reports whether a response with this status may have a body (RFC
// 9110, section 6.4.1).
func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// restore removes what a handler did to the header, for another response.
func restore(h, before http.Header) {
	clear(h)
	maps.Copy(h, before)
}
