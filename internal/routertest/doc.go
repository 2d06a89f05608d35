// Package routertest runs one contract over net/http, chi, gin and Echo, with each
// middleware and with the whole chain: what a client gets, what middlewares see and what they
// leave in Redis is the same in all of them. net/http is the reference. It is a module of its
// own, so that users do not carry the routers.
package routertest
