package session

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/alexedwards/scs/v2"
)

// compactCodec is the default codec. It writes the types that sessions mostly
// hold (string, []byte, bool, int, int32, int64, float64, time.Time) with a tag
// each and without gob's descriptions of types, which most of a gob session is;
// any other value as gob, whose type needs gob.Register. Equal sessions are
// equal bytes. It also reads what scs' gob codec has written.
type compactCodec struct{}

var _ scs.Codec = compactCodec{}

// magic cannot begin a gob stream, whose first message is never empty.
const magic = "\x00\x01"

var errEncoding = errors.New("session: the value ends early or holds an unknown tag")

type boxed struct{ V any } // gives gob an interface to name the type in

// Encode encodes a session: magic, the deadline in seconds and nanoseconds, the
// number of values, then each key and its value, sorted by key.
func (compactCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	size := 64
	for key, value := range values {
		size += len(key) + 32
		switch v := value.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		}
	}
	b := make([]byte, 0, size)
	b = append(b, magic...)
	b = binary.AppendVarint(b, deadline.Unix())
	b = binary.AppendVarint(b, int64(deadline.Nanosecond()))
	b = binary.AppendUvarint(b, uint64(len(values)))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		b = appendText(b, key)
		var err error
		if b, err = appendValue(b, values[key]); err != nil {
			return nil, fmt.Errorf("session: encode %q: %w", key, err)
		}
	}
	return b, nil
}

// appendText appends the length of text, then text.
func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// appendValue appends a tag and the value, as gob if it has no tag of its own.
// A nil []byte is among these.
func appendValue(b []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case string:
		return appendText(append(b, 's'), v), nil
	case []byte:
		if v != nil {
			return appendText(append(b, 'b'), v), nil
		}
	case bool:
		if v {
			return append(b, 'y'), nil
		}
		return append(b, 'n'), nil
	case int:
		return binary.AppendVarint(append(b, 'i'), int64(v)), nil
	case int32:
		return binary.AppendVarint(append(b, '3'), int64(v)), nil
	case int64:
		return binary.AppendVarint(append(b, '6'), v), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 'd'), math.Float64bits(v)), nil
	case time.Time:
		text, err := v.MarshalBinary()
		return appendText(append(b, 't'), text), err
	}
	var buf bytes.Buffer
	err := gob.NewEncoder(&buf).Encode(boxed{value})
	return appendText(append(b, 'g'), buf.Bytes()), err
}

// Decode decodes a session, of this codec or of scs'.
func (compactCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	if !bytes.HasPrefix(b, []byte(magic)) {
		return scs.GobCodec{}.Decode(b)
	}
	r := &reader{b: b[len(magic):]}
	sec, nsec := r.varint(), r.varint()
	count := r.uvarint()
	if count > uint64(len(r.b)) { // a key takes a byte at least
		return time.Time{}, nil, errEncoding
	}
	values := make(map[string]any, count)
	for range count {
		key := string(r.text())
		value, err := r.value()
		if err != nil || r.failed {
			return time.Time{}, nil, errors.Join(errEncoding, err)
		}
		values[key] = value
	}
	if r.failed || len(r.b) > 0 {
		return time.Time{}, nil, errEncoding
	}
	return time.Unix(sec, nsec).UTC(), values, nil
}

// reader reads from bytes that may be anything.
type reader struct {
	b      []byte
	failed bool
}

// take returns the next n bytes, and fails if there are fewer.
func (r *reader) take(n uint64) []byte {
	if r.failed || n > uint64(len(r.b)) {
		r.failed = true
		return nil
	}
	taken := r.b[:n:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() []byte { return r.take(r.uvarint()) }

// value reads one tagged value, see appendValue.
func (r *reader) value() (any, error) {
	tag := r.take(1)
	if r.failed {
		return nil, errEncoding
	}
	switch tag[0] {
	case 's':
		return string(r.text()), nil
	case 'b':
		return append([]byte{}, r.text()...), nil
	case 'y', 'n':
		return tag[0] == 'y', nil
	case 'i':
		return int(r.varint()), nil
	case '3':
		return int32(r.varint()), nil
	case '6':
		return r.varint(), nil
	case 'd':
		bits := r.take(8)
		if r.failed {
			return nil, errEncoding
		}
		return math.Float64frombits(binary.BigEndian.Uint64(bits)), nil
	case 't':
		var t time.Time
		err := t.UnmarshalBinary(r.text())
		return t, err
	case 'g':
		var v boxed
		err := gob.NewDecoder(bytes.NewReader(r.text())).Decode(&v)
		return v.V, err
	}
	return nil, errEncoding
}

// skip passes over one tagged value and returns its tag, 0 if it has none.
func (r *reader) skip() byte {
	tag := r.take(1)
	if r.failed {
		return 0
	}
	switch tag[0] {
	case 's', 'b', 't', 'g':
		r.text()
	case 'i', '3', '6':
		r.varint()
	case 'd':
		r.take(8)
	case 'y', 'n':
	default:
		r.failed = true
	}
	return tag[0]
}

// changeable reports whether a session may hold values that can be changed in
// place. It is cheap for what the default codec wrote, and true for anything else.
func changeable(b []byte) bool {
	if !bytes.HasPrefix(b, []byte(magic)) {
		return true
	}
	r := &reader{b: b[len(magic):]}
	r.varint()
	r.varint()
	for count := r.uvarint(); count > 0 && !r.failed; count-- {
		r.text()
		if tag := r.skip(); tag == 'b' || tag == 'g' {
			return true
		}
	}
	return r.failed
}
