package store

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// Entry is a stored response. In Redis it is one string:
//
//	version, target, incarnation, sequence, status, age, fresh, swr, sie, keep,
//	delta, flags, size, stamp, id, tags, added, fields, inline body
//
// numbers as varints, strings and lists with their length before them, and
// nothing after. The target is the whole primary key, so that an entry of
// another URL, by whatever accident, is a miss. A body above [InlineSize] goes
// on in chunks, whose keys hold the id.
type Entry struct {
	Target string
	Inc    string // of the purge log when the handler was called
	Seq    int64  // of the purge log when the handler was called
	Status int
	Age    time.Duration // when it was stored
	rules.Verdict
	Delta  time.Duration // what the handler took
	flate  bool          // the body is compressed; there are no chunks
	Size   int64         // of the whole body
	Stamp  int64         // random, another each time that something is stored
	ID     string        // of the chunks, "" for none
	Added  []string      // fields that stand beside those of outer middlewares, not in their place
	Header http.Header
	Body   []byte // the inline part
}

// EntryVersion is the first byte of an entry. Any other is a miss, so instances of two
// versions can share Redis during a deploy.
const EntryVersion = 4

const (
	// InlineSize is how many bytes of the body are in the entry. A body up to that size
	// takes one round trip.
	InlineSize = 64 << 10
	chunkSize  = 256 << 10
)

// flags are the bits of a stored entry, in this order.
func (e *Entry) flags() [5]*bool {
	return [5]*bool{&e.Strict, &e.Shared, &e.Immutable, &e.flate, &e.Implicit}
}

func (e *Entry) packFlags() (bits int64) {
	for i, flag := range e.flags() {
		if *flag {
			bits |= 1 << i
		}
	}
	return bits
}

func (e *Entry) unpackFlags(bits int64) {
	for i, flag := range e.flags() {
		*flag = bits&(1<<i) != 0
	}
}

var errEntry = errors.New("not an entry")

func (e *Entry) chunks() int {
	return int((e.Size - min(e.Size, InlineSize) + chunkSize - 1) / chunkSize)
}

// Encode returns the entry as it is stored.
func (e *Entry) Encode() []byte {
	b := make([]byte, 0, 512+len(e.Target)+len(e.Body))
	b = append(b, EntryVersion)
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	str(e.Target)
	str(e.Inc)
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	for _, n := range []int64{e.Seq, int64(e.Status), ms(e.Age), ms(e.Fresh), ms(e.StaleWhileRevalidate), ms(e.StaleIfError), ms(e.Keep), ms(e.Delta), e.packFlags(), e.Size, e.Stamp} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	str(e.ID)
	b = binary.AppendUvarint(b, uint64(len(e.Tags)))
	for _, tag := range e.Tags {
		str(tag)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Added)))
	for _, name := range e.Added {
		str(name)
	}
	fields := 0
	names := make([]string, 0, len(e.Header))
	for name, values := range e.Header {
		names = append(names, name)
		fields += len(values)
	}
	b = binary.AppendUvarint(b, uint64(fields))
	slices.Sort(names)
	for _, name := range names {
		for _, value := range e.Header[name] {
			str(name)
			str(value)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(e.Body)))
	return append(b, e.Body...)
}

// reader decodes an entry; after its first failure ok is false.
type reader struct {
	b      []byte
	ok     bool
	shared string // see share
	after  int    // bytes behind shared
}

func (r *reader) number() int64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > 1<<62 {
		r.ok, r.b = false, nil
		return 0
	}
	r.b = r.b[size:]
	return int64(n)
}

func (r *reader) bytes() []byte {
	n := r.number()
	if n > int64(len(r.b)) {
		r.ok, r.b = false, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// share makes the next n strings parts of one.
func (r *reader) share(n int64) {
	rest := *r
	for range n {
		rest.bytes()
	}
	if rest.ok {
		r.shared, r.after = string(r.b[:len(r.b)-len(rest.b)]), len(rest.b)
	}
}

func (r *reader) text() string {
	b := r.bytes()
	if end := len(r.shared) + r.after - len(r.b); end >= len(b) && end <= len(r.shared) {
		return r.shared[end-len(b) : end]
	}
	return string(b)
}

func (r *reader) duration() time.Duration {
	const most = int64(100 * 365 * 24 * time.Hour / time.Millisecond)
	n := r.number()
	if n > most {
		r.ok = false
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// DecodeEntry returns the entry in b. It trusts nothing, since Redis is shared: a value
// that is cut off, inconsistent or of another version is an error. The body shares b's
// memory.
func DecodeEntry(b []byte) (*Entry, error) {
	e, r, err := readHead(b)
	if err != nil {
		return nil, err
	}
	e.Body = r.bytes()
	if !r.ok || len(r.b) != 0 || !e.whole() {
		return nil, errEntry
	}
	return e, nil
}

// DecodeHead returns the entry without its body. The beginning of the stored value is
// enough for it.
func DecodeHead(b []byte) (*Entry, error) {
	e, _, err := readHead(b)
	return e, err
}

// readHead is [DecodeHead], and returns the reader at the body.
func readHead(b []byte) (*Entry, reader, error) {
	if len(b) == 0 || b[0] != EntryVersion {
		return nil, reader{}, errEntry
	}
	r := reader{b: b[1:], ok: true}
	r.share(2)
	e := &Entry{Target: r.text(), Inc: r.text(), Seq: r.number(), Status: int(r.number()), Age: r.duration()}
	e.Fresh, e.StaleWhileRevalidate, e.StaleIfError, e.Keep, e.Delta = r.duration(), r.duration(), r.duration(), r.duration(), r.duration()
	e.unpackFlags(r.number())
	e.Size, e.Stamp = r.number(), r.number()
	e.ID = r.text()
	tags := r.number()
	if !r.ok || tags > rules.MaxTags || e.Status < 200 || e.Status > 999 {
		return nil, r, errEntry
	}
	for range tags {
		e.Tags = append(e.Tags, r.text())
	}
	added := r.number()
	if !r.ok || added > int64(len(r.b)) {
		return nil, r, errEntry
	}
	for range added {
		e.Added = append(e.Added, r.text())
	}
	fields := r.number()
	if !r.ok || fields > int64(len(r.b)) {
		return nil, r, errEntry
	}
	r.share(2 * fields)
	e.Header = make(http.Header, min(fields, 32))
	values := make([]string, 0, min(fields, 32))
	for range fields {
		name, value := r.text(), r.text()
		if !r.ok {
			return nil, r, errEntry
		}
		if others, more := e.Header[name]; more {
			e.Header[name] = append(others, value)
			continue
		}
		values = append(values, value)
		e.Header[name] = slices.Clip(values[len(values)-1:])
	}
	return e, r, nil
}

// whole reports whether the size, the chunks and the inline part match.
func (e *Entry) whole() bool {
	if e.flate {
		return e.ID == "" && e.Size <= InlineSize
	}
	return int64(len(e.Body)) == min(e.Size, InlineSize) && (e.ID != "") == (e.Size > InlineSize) && e.Size < 1<<40
}

// shrink compresses the body if that saves a fifth.
func (e *Entry) shrink() {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.BestSpeed)
	if err != nil {
		return
	}
	if _, err := w.Write(e.Body); err != nil || w.Close() != nil || buf.Len() > len(e.Body)*4/5 {
		return
	}
	e.Body = buf.Bytes()
	e.flate = true
}

// Inline returns the inline part of the body, decompressed. It decompresses no more
// than the size in the entry.
func (e *Entry) Inline() ([]byte, error) {
	if !e.flate {
		return e.Body, nil
	}
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(e.Body)), e.Size+1))
	if err != nil || int64(len(b)) != e.Size {
		return nil, errors.Join(errEntry, err)
	}
	return b, nil
}
