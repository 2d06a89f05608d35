package cache

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

// entry is a stored response. In Redis it is one string:
//
//	version, target, incarnation, sequence, status, age, fresh, swr, sie, keep,
//	delta, flags, size, stamp, id, tags, added, fields, inline body
//
// numbers as varints, strings and lists with their length before them, and
// nothing after. The target is the whole primary key, so that an entry of
// another URL, by whatever accident, is a miss. A body above [inlineSize] goes
// on in chunks, whose keys hold the id.
type entry struct {
	target string
	inc    string // of the purge log when the handler was called
	seq    int64  // of the purge log when the handler was called
	status int
	age    time.Duration // when it was stored
	rules.Lives
	delta  time.Duration // what the handler took
	flags  flags
	size   int64  // of the whole body
	stamp  int64  // random, another each time that something is stored
	id     string // of the chunks, "" for none
	tags   []string
	added  []string // fields that stand beside those of outer middlewares, not in their place
	header http.Header
	body   []byte // the inline part
}

type flags uint64

const (
	strictFlag   flags = 1 << iota
	sharedFlag         // may answer requests with Authorization
	steadyFlag         // immutable (RFC 8246): no validation, no early refresh
	flateFlag          // body is compressed; there are no chunks
	implicitFlag       // not for requests with a cookie
)

const (
	entryVersion = 4
	inlineSize   = 64 << 10
	chunkSize    = 256 << 10
)

var errEntry = errors.New("not an entry")

func (e *entry) chunks() int {
	return int((e.size - min(e.size, inlineSize) + chunkSize - 1) / chunkSize)
}

func (e *entry) encode() []byte {
	flags := e.flags
	if flags &^= strictFlag | implicitFlag; e.Strict {
		flags |= strictFlag
	}
	if e.Implicit {
		flags |= implicitFlag
	}
	b := make([]byte, 0, 512+len(e.target)+len(e.body))
	b = append(b, entryVersion)
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	str(e.target)
	str(e.inc)
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	for _, n := range []int64{e.seq, int64(e.status), ms(e.age), ms(e.Fresh), ms(e.StaleWhileRevalidate), ms(e.StaleIfError), ms(e.Keep), ms(e.delta), int64(flags), e.size, e.stamp} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	str(e.id)
	b = binary.AppendUvarint(b, uint64(len(e.tags)))
	for _, tag := range e.tags {
		str(tag)
	}
	b = binary.AppendUvarint(b, uint64(len(e.added)))
	for _, name := range e.added {
		str(name)
	}
	fields := 0
	names := make([]string, 0, len(e.header))
	for name, values := range e.header {
		names = append(names, name)
		fields += len(values)
	}
	b = binary.AppendUvarint(b, uint64(fields))
	slices.Sort(names)
	for _, name := range names {
		for _, value := range e.header[name] {
			str(name)
			str(value)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(e.body)))
	return append(b, e.body...)
}

// reader takes an entry apart; its first failure sticks.
type reader struct {
	b  []byte
	ok bool
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

func (r *reader) duration() time.Duration {
	const most = int64(100 * 365 * 24 * time.Hour / time.Millisecond)
	n := r.number()
	if n > most {
		r.ok = false
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// decodeEntry trusts nothing: Redis is shared, and versions differ during a
// deploy. The body shares b's memory.
func decodeEntry(b []byte) (*entry, error) {
	e, r, err := readHead(b)
	if err != nil {
		return nil, err
	}
	e.body = r.bytes()
	if !r.ok || len(r.b) != 0 || !e.whole() {
		return nil, errEntry
	}
	return e, nil
}

// decodeHead reads what stands before the body, of which the beginning of an entry
// will do.
func decodeHead(b []byte) (*entry, error) {
	e, _, err := readHead(b)
	return e, err
}

// readHead is decodeHead, and returns what reads on.
func readHead(b []byte) (*entry, *reader, error) {
	if len(b) == 0 || b[0] != entryVersion {
		return nil, nil, errEntry
	}
	r := &reader{b: b[1:], ok: true}
	e := &entry{target: string(r.bytes()), inc: string(r.bytes()), seq: r.number(), status: int(r.number()), age: r.duration()}
	e.Fresh, e.StaleWhileRevalidate, e.StaleIfError, e.Keep, e.delta = r.duration(), r.duration(), r.duration(), r.duration(), r.duration()
	e.flags, e.size, e.stamp = flags(r.number()), r.number(), r.number()
	e.Strict, e.Implicit = e.flags&strictFlag != 0, e.flags&implicitFlag != 0
	e.id = string(r.bytes())
	tags := r.number()
	if !r.ok || tags > rules.MaxTags || e.status < 200 || e.status > 999 {
		return nil, nil, errEntry
	}
	for range tags {
		e.tags = append(e.tags, string(r.bytes()))
	}
	added := r.number()
	if !r.ok || added > int64(len(r.b)) {
		return nil, nil, errEntry
	}
	for range added {
		e.added = append(e.added, string(r.bytes()))
	}
	fields := r.number()
	if !r.ok || fields > int64(len(r.b)) {
		return nil, nil, errEntry
	}
	e.header = make(http.Header, min(fields, 32))
	for range fields {
		name, value := string(r.bytes()), string(r.bytes())
		if !r.ok {
			return nil, nil, errEntry
		}
		e.header[name] = append(e.header[name], value)
	}
	return e, r, nil
}

// whole reports whether size, chunks and inline part go together.
func (e *entry) whole() bool {
	if e.flags&flateFlag != 0 {
		return e.id == "" && e.size <= inlineSize
	}
	return int64(len(e.body)) == min(e.size, inlineSize) && (e.id != "") == (e.size > inlineSize) && e.size < 1<<40
}

// shrink compresses the body if that saves a fifth.
func (e *entry) shrink() {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.BestSpeed)
	if err != nil {
		return
	}
	if _, err := w.Write(e.body); err != nil || w.Close() != nil || buf.Len() > len(e.body)*4/5 {
		return
	}
	e.body = buf.Bytes()
	e.flags |= flateFlag
}

// inline is the inline part of the body as it was.
func (e *entry) inline() ([]byte, error) {
	if e.flags&flateFlag == 0 {
		return e.body, nil
	}
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(e.body)), e.size+1))
	if err != nil || int64(len(b)) != e.size {
		return nil, errors.Join(errEntry, err)
	}
	return b, nil
}
