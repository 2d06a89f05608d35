//go:build unix

package redistest

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy in front of a server, with faults that can be switched
// while connections are open. It starts healthy.
type Proxy struct {
	upstream string
	ln       net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	fault  fault
	left   int // bytes of replies let through before the reset
	delay  time.Duration
	heal   chan struct{} // closed when the present fault ends
	closed bool
}

type fault int

const (
	healthy       fault = iota
	mute                // nothing passes in either direction
	swallow             // commands pass, replies do not
	resetMidReply       // the connection is reset inside a reply
	refuse              // connections are closed at once
)

// NewProxy starts a proxy in front of a TCP address or a unix socket, for one
// test.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{upstream: upstream, ln: ln, conns: map[net.Conn]bool{}, heal: make(chan struct{})}
	p.wg.Go(p.accept)
	t.Cleanup(p.stop)
	return p
}

// Addr is host:port.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Mute lets nothing pass: the server looks hung. Commands already sent wait
// for Heal.
func (p *Proxy) Mute() { p.set(mute, 0, 0) }

// SwallowReplies lets commands reach the server, where they are executed, and
// drops what it answers.
func (p *Proxy) SwallowReplies() { p.set(swallow, 0, 0) }

// ResetMidReply resets connections after n more bytes of replies.
func (p *Proxy) ResetMidReply(n int) { p.set(resetMidReply, n, 0) }

// Delay holds each reply back for d.
func (p *Proxy) Delay(d time.Duration) { p.set(healthy, 0, d) }

// Refuse closes all connections and every new one at once: the server looks
// down.
func (p *Proxy) Refuse() {
	p.set(refuse, 0, 0)
	p.CloseConns()
}

// Heal ends every fault.
func (p *Proxy) Heal() { p.set(healthy, 0, 0) }

// CloseConns closes the open connections.
func (p *Proxy) CloseConns() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) set(f fault, left int, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.left, p.delay = f, left, delay
	close(p.heal)
	p.heal = make(chan struct{})
}

func (p *Proxy) stop() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Heal()
	_ = p.ln.Close()
	p.CloseConns()
	p.wg.Wait()
}

// track adds a connection, unless the proxy refuses or is closed.
func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.fault == refuse {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		if !p.track(client) {
			_ = client.Close()
			continue
		}
		network := "tcp"
		if strings.HasPrefix(p.upstream, "/") {
			network = "unix"
		}
		server, err := net.Dial(network, p.upstream)
		if err != nil || !p.track(server) {
			if err == nil {
				_ = server.Close()
			}
			p.drop(client)
			continue
		}
		p.wg.Go(func() { p.pump(server, client, false) })
		p.wg.Go(func() { p.pump(client, server, true) })
	}
}

// pump copies from src to dst under the faults; replies says which direction
// this is.
func (p *Proxy) pump(dst, src net.Conn, replies bool) {
	defer p.drop(dst)
	defer p.drop(src)
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if err != nil || !p.forward(dst, buf[:n], replies) {
			return
		}
	}
}

// forward passes b on as the present fault allows; false ends the connection.
func (p *Proxy) forward(dst net.Conn, b []byte, replies bool) bool {
	for {
		p.mu.Lock()
		f, delay, heal, closed := p.fault, p.delay, p.heal, p.closed
		reset := f == resetMidReply && replies && p.left < len(b)
		if reset {
			b = b[:p.left]
		}
		if f == resetMidReply && replies {
			p.left -= len(b)
		}
		p.mu.Unlock()
		switch {
		case closed || f == refuse:
			return false
		case f == mute:
			<-heal
			continue
		case f == swallow && replies:
			return true
		case reset:
			_, _ = dst.Write(b)
			if tcp, ok := dst.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // RST instead of FIN
			}
			return false
		case delay > 0 && replies:
			select {
			case <-time.After(delay):
			case <-heal:
			}
		}
		_, err := dst.Write(b)
		return err == nil
	}
}
