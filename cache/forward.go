package cache

// forwardReason is why the handler is called, the fwd parameter of Cache-Status
// (RFC 9211, section 2.2).
type forwardReason string

const (
	forwardMethod  forwardReason = "method"
	forwardBypass  forwardReason = "bypass"
	forwardRequest forwardReason = "request"
	forwardStale   forwardReason = "stale"
	forwardURI     forwardReason = "uri-miss"
	forwardVary    forwardReason = "vary-miss"
)
