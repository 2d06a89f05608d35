package cache

import (
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"time"
)

// entry is a stored response. In Redis it is one string:
//
//	version, then each with its length: target, incarnation, sequence, status,
//	age, life, number of fields, (name, value)…, body
//
// and nothing after. The target is the whole primary key, so that an entry of
// another URL, by whatever accident, is a miss.
type entry struct {
	target string
	inc    string        // of the purge log when the handler was called
	seq    int64         // of the purge log when the handler was called
	status int           //
	age    time.Duration // when it was stored
	life   time.Duration // for which it was stored
	header http.Header
	body   []byte
}

const entryVersion = 1

var errEntry = errors.New("not an entry")

func (e *entry) encode() []byte {
	b := make([]byte, 0, 512+len(e.body))
	b = append(b, entryVersion)
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	str(e.target)
	str(e.inc)
	fields := 0
	for _, values := range e.header {
		fields += len(values)
	}
	for _, n := range []int64{e.seq, int64(e.status), e.age.Milliseconds(), e.life.Milliseconds(), int64(fields)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	names := make([]string, 0, len(e.header))
	for name := range e.header {
		names = append(names, name)
	}
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

// decodeEntry trusts nothing: Redis is shared, and versions differ during a
// deploy. The body shares b's memory.
func decodeEntry(b []byte) (*entry, error) {
	if len(b) == 0 || b[0] != entryVersion {
		return nil, errEntry
	}
	r := &reader{b: b[1:], ok: true}
	e := &entry{target: string(r.bytes()), inc: string(r.bytes()), seq: r.number(), status: int(r.number())}
	age, life := r.number(), r.number()
	fields := r.number()
	const most = int64(100 * 365 * 24 * time.Hour / time.Millisecond)
	if !r.ok || age > most || life > most || fields > int64(len(r.b)) || e.status < 200 || e.status > 999 {
		return nil, errEntry
	}
	e.age, e.life = time.Duration(age)*time.Millisecond, time.Duration(life)*time.Millisecond
	e.header = make(http.Header, min(fields, 32))
	for range fields {
		name := string(r.bytes())
		if !r.ok {
			return nil, errEntry
		}
		e.header[name] = append(e.header[name], string(r.bytes()))
	}
	e.body = r.bytes()
	if !r.ok || len(r.b) != 0 {
		return nil, errEntry
	}
	return e, nil
}
