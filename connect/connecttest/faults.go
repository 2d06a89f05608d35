//go:build unix

package connecttest

import (
	"context"
	"testing"
	"time"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// startTimeout bounds [Open]; it is generous because test machines are busy.
const startTimeout = 30 * time.Second

// Open makes a connection, waits until it is ready, and closes it when the test
// ends.
func Open(t testing.TB, url string, opts ...connect.Option) *connect.Conn {
	t.Helper()
	conn, err := connect.Open(url, append(opts, connect.WithName("test"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := conn.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Proxy is a TCP proxy in front of one server that breaks the network in
// chosen ways.
type Proxy struct{ p *redistest.Proxy }

// NewProxy starts a proxy in front of a TCP address, or of the path of a unix
// socket, for one test. It passes TLS on as it is. Clients of Cluster and
// Sentinel learn addresses from the servers and would pass a proxy by: for them
// there is [NewNetwork].
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	return &Proxy{redistest.NewProxy(t, upstream)}
}

// Addr is host:port.
func (p *Proxy) Addr() string { return p.p.Addr() }

// Mute lets nothing pass: the server looks hung. Commands already sent wait for
// Heal.
func (p *Proxy) Mute() { p.p.Mute() }

// SwallowReplies lets commands reach the server, where they are executed, and
// drops what it answers.
func (p *Proxy) SwallowReplies() { p.p.SwallowReplies() }

// ResetMidReply resets connections after n more bytes of replies.
func (p *Proxy) ResetMidReply(n int) { p.p.ResetMidReply(n) }

// Delay holds each reply back for d.
func (p *Proxy) Delay(d time.Duration) { p.p.Delay(d) }

// Refuse closes all connections, and new ones at once: the server looks down.
func (p *Proxy) Refuse() { p.p.Refuse() }

// Heal ends every fault.
func (p *Proxy) Heal() { p.p.Heal() }

// CloseConns closes the open connections.
func (p *Proxy) CloseConns() { p.p.CloseConns() }

// Eventually polls cond every few milliseconds and fails the test, with the
// message, if it is not true within d.
func Eventually(t testing.TB, d time.Duration, cond func() bool, format string, args ...any) {
	t.Helper()
	redistest.Eventually(t, d, cond, format, args...)
}

// NoLeaks fails the test if, when it and its later cleanups have ended,
// goroutines of this module, go-redis or redigo run that did not before. Call
// it before what must clean up after itself.
func NoLeaks(t testing.TB) {
	t.Helper()
	redistest.NoLeaks(t)
}
