package rules

// ForwardReason is why the handler is called, the fwd parameter of Cache-Status
// (RFC 9211, section 2.2).
type ForwardReason string

// The reasons, in the words of the RFC.
const (
	ForwardMethod  ForwardReason = "method"
	ForwardBypass  ForwardReason = "bypass"
	ForwardRequest ForwardReason = "request"
	ForwardStale   ForwardReason = "stale"
	ForwardURI     ForwardReason = "uri-miss"
	ForwardVary    ForwardReason = "vary-miss"
)
