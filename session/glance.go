package session

import (
	"bytes"
	"time"
)

// glance is what this package itself wants to know of an encoded session.
type glance struct {
	deadline   time.Time
	remembered bool
	user       string
}

// glance reads a session without decoding all of its values, which a save would
// otherwise do several times: of the default codec it reads no more than that.
func (c checkedCodec) glance(b []byte) (glance, error) {
	if _, ours := c.Codec.(compactCodec); ours {
		if g, ok := glanceAt(b); ok {
			return g, nil
		}
	}
	deadline, values, err := c.decode(b)
	remembered, _ := values[rememberKey].(bool)
	user, _ := values[userKey].(string)
	return glance{deadline, remembered, user}, err
}

// glanceAt reads what compactCodec has written; false means that something else did.
func glanceAt(b []byte) (g glance, ok bool) {
	if !bytes.HasPrefix(b, []byte(magic)) {
		return g, false
	}
	r := &reader{b: b[len(magic):]}
	sec, nsec := r.varint(), r.varint()
	g.deadline = time.Unix(sec, nsec).UTC()
	for count := r.uvarint(); count > 0 && !r.failed; count-- {
		key := r.text()
		rest := r.b
		switch tag := r.skip(); {
		case string(key) == rememberKey:
			g.remembered = tag == 'y'
		case string(key) != userKey:
		case tag == 's':
			text := reader{b: rest[1:]}
			g.user = string(text.text())
		default:
			g.user = ""
		}
	}
	return g, !r.failed && len(r.b) == 0
}
