package admin

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// cursor is where a search stopped: the master, and the cursor of its SCAN. Masters
// are searched in the order of their addresses.
type cursor struct {
	addr string // "" but on a cluster
	at   uint64
}

const (
	cursorVersion = 1
	maxCursor     = 300 // bytes, before it is encoded
)

func (c cursor) String() string {
	b := binary.AppendUvarint([]byte{cursorVersion}, c.at)
	return base64.RawURLEncoding.EncodeToString(append(b, c.addr...))
}

// parseCursor accepts what String returns and nothing else, because cursors come
// back in links. It does not check that the master exists; the search does.
func parseCursor(s string) (cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 2 || len(b) > maxCursor || b[0] != cursorVersion {
		return cursor{}, fmt.Errorf("%w: no cursor of a search", errBad)
	}
	at, n := binary.Uvarint(b[1:])
	c := cursor{at: at}
	if n > 0 {
		c.addr = string(b[1+n:])
	}
	if n <= 0 || c.String() != s { // a number has one form only
		return cursor{}, fmt.Errorf("%w: no cursor of a search", errBad)
	}
	return c, nil
}
