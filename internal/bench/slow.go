package bench

import (
	"net"
	"time"
)

// slowConn delays what is read by a constant time, as a network does: bytes in
// flight do not wait for each other.
type slowConn struct {
	net.Conn
	delay time.Duration
	in    chan chunk
	rest  []byte
}

type chunk struct {
	data []byte
	err  error
	due  time.Time
}

// Slow returns a connection whose bytes arrive later by delay.
func Slow(conn net.Conn, delay time.Duration) net.Conn {
	c := &slowConn{Conn: conn, delay: delay, in: make(chan chunk, 1024)}
	go func() {
		defer close(c.in)
		for {
			buf := make([]byte, 16<<10)
			n, err := conn.Read(buf)
			c.in <- chunk{buf[:n], err, time.Now().Add(delay)}
			if err != nil {
				return
			}
		}
	}()
	return c
}

func (c *slowConn) SetReadDeadline(time.Time) error { return nil }

func (c *slowConn) SetDeadline(time.Time) error { return nil }

func (c *slowConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		next, ok := <-c.in
		if !ok {
			return 0, net.ErrClosed
		}
		for wait := time.Until(next.due); wait > 0; wait = time.Until(next.due) {
			<-time.After(wait)
		}
		if next.err != nil {
			return 0, next.err
		}
		c.rest = next.data
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
