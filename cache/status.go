package cache

import (
	"strconv"
	"strings"
	"time"
)

// Status is what a [Cache] did with a request, the parameters of Cache-Status
// (RFC 9211, section 2). Hooks.Served gets it for each request.
type Status struct {
	// Hit reports whether the response was served from the store.
	Hit bool
	// TTL is for how long a hit is fresh; negative for a stale one.
	TTL time.Duration
	// Forward says why the handler was called: uri-miss, vary-miss, stale,
	// request, method or bypass (RFC 9211, section 2.2). It is "" for a hit.
	Forward string
	// ForwardStatus is the status that the handler responded with, 0 if it was
	// not called.
	ForwardStatus int
	// Collapsed reports whether the request waited for another one (RFC 9211,
	// section 2.6).
	Collapsed bool
	// Stored reports whether the response is stored when it is complete.
	Stored bool
	// Detail says why it is not, or why the store was not read, such as
	// store-error or too-large.
	Detail string
}

// String returns the parameters as in the field, each with "; " before it.
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
