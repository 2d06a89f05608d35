package cache

import (
	"strconv"
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
	var space [128]byte
	return string(s.append(space[:0]))
}

// append appends String to b.
func (s Status) append(b []byte) []byte {
	if s.Hit {
		b = strconv.AppendInt(append(b, "; hit; ttl="...), int64(s.TTL/time.Second), 10)
	}
	if s.Forward != "" {
		b = append(append(b, "; fwd="...), s.Forward...)
	}
	if s.ForwardStatus != 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(s.ForwardStatus), 10)
	}
	if s.Stored {
		b = append(b, "; stored"...)
	}
	if s.Collapsed {
		b = append(b, "; collapsed"...)
	}
	if s.Detail != "" {
		b = append(append(b, "; detail="...), s.Detail...)
	}
	return b
}
