package cache

import (
	"strconv"
	"strings"
	"time"
)

// Status is what a [Cache] did with a request, the parameters of Cache-Status
// (RFC 9211).
type Status struct {
	Hit bool
	TTL time.Duration // of a hit; negative for a stale one
	// Forward says why the handler was called: uri-miss, vary-miss, stale,
	// request, method or bypass.
	Forward string
	// ForwardStatus is the status the handler answered with.
	ForwardStatus int
	// Collapsed says that the request waited for another's.
	Collapsed bool
	// Stored says that the response is stored when it is complete.
	Stored bool
	// Detail says why it is not, or why the store was not asked.
	Detail string
}

// String is the parameters as in the field.
func (s Status) String() string {
	var b strings.Builder
	add := func(parts ...string) {
		for _, part := range parts {
			b.WriteString(part)
		}
	}
	if s.Hit {
		add("; hit; ttl=", strconv.FormatInt(int64(s.TTL/time.Second), 10))
	}
	if s.Forward != "" {
		add("; fwd=", s.Forward)
	}
	if s.ForwardStatus != 0 {
		add("; fwd-status=", strconv.Itoa(s.ForwardStatus))
	}
	if s.Stored {
		add("; stored")
	}
	if s.Collapsed {
		add("; collapsed")
	}
	if s.Detail != "" {
		add("; detail=", s.Detail)
	}
	return b.String()
}
