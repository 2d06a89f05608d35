//go:build unix

package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are drawn at random below the range that the kernel hands out to
// outgoing connections, with port+10000 free as well for the cluster bus.
// Two test binaries may draw the same; then redis-server cannot bind and the
// caller draws again.
const (
	firstPort = 11000
	lastPort  = 21999
)

var ports = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

func freePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if ports.taken[port] || ports.taken[port+10000] || !bindable(port) || !bindable(port+10000) {
			continue
		}
		ports.taken[port] = true
		return port, nil
	}
	return 0, fmt.Errorf("redistest: no free port between %d and %d", firstPort, lastPort)
}

func bindable(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
