// Package wstest upgrades requests to WebSockets, with a real client and server,
// behind every middleware. It is a module of its own, so that users do not carry
// the WebSocket library.
package wstest
