package peerbench

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/bench"
)

// wire is the network between a contender and Redis: as it is, with a delay, or
// counted.
type wire struct {
	delay   time.Duration
	counted bool

	trips, commands atomic.Int64
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	switch {
	case err != nil:
		return nil, err
	case w.delay > 0:
		return bench.Slow(conn, w.delay), nil
	case w.counted:
		return &countedConn{Conn: conn, wire: w}, nil
	}
	return conn, nil
}

func (w *wire) reset() {
	w.trips.Store(0)
	w.commands.Store(0)
}

// countedConn counts the commands that are written, and a round trip where one is
// written after a reply. The handshake of a connection does not count.
type countedConn struct {
	net.Conn
	wire *wire

	mu      sync.Mutex
	waiting bool // a command was written since the last reply
	parser  requests
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if n := c.parser.feed(b); n > 0 {
		c.wire.commands.Add(int64(n))
		if !c.waiting {
			c.waiting = true
			c.wire.trips.Add(1)
		}
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.waiting = false
	c.mu.Unlock()
	return n, err
}

// requests finds the commands in what a client writes: arrays of bulk strings.
type requests struct {
	line  []byte // of a header that is not complete
	skip  int    // bytes left of an argument, with its CRLF
	args  int    // left of the command
	first bool   // the next argument is the name
	name  []byte
}

// feed returns how many commands have their names in b.
func (p *requests) feed(b []byte) (n int) {
	for len(b) > 0 {
		if p.skip > 0 {
			k := min(p.skip, len(b))
			if p.first {
				p.name = append(p.name, b[:k]...)
			}
			b, p.skip = b[k:], p.skip-k
			if p.skip == 0 {
				if p.first && !isHandshake(strings.TrimSpace(string(p.name))) {
					n++
				}
				p.first = false
				p.args--
			}
			continue
		}
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			p.line = append(p.line, b...)
			return n
		}
		header := strings.TrimSpace(string(append(p.line, b[:i]...)))
		b, p.line = b[i+1:], p.line[:0]
		size, _ := strconv.Atoi(header[1:])
		if header[0] == '*' {
			p.args, p.first, p.name = size, true, p.name[:0]
			continue
		}
		p.skip = size + len("\r\n")
	}
	return n
}

// isHandshake reports whether a command, as written or as commandstats has it, is
// of a new connection or of this bench itself.
func isHandshake(name string) bool {
	name, _, _ = strings.Cut(strings.ToLower(name), "|")
	switch name {
	case "hello", "auth", "select", "client", "info", "config", "command", "cluster", "readonly", "subscribe", "ping":
		return true
	}
	return false
}
