// Package peerbench measures the middlewares beside their peers, and beside
// what Redis can do at most, in one process and one run. It is a module of its
// own, for the peers' sake.
//
// A scenario has contenders that do the same work, and a base, which is mostly one
// bare GET of go-redis. In a round each works for a moment in turn; reported are
// medians over the rounds of the ratio to the base within a round, at 1, 64 and
// 256 goroutines, on loopback and with a millisecond added to each round trip.
// Names beginning with bare- are floors: what a hand-written command costs. The CPU that
// this process and Redis use for a call is reported as well: it hardly depends on what
// else the machine does.
//
// The sub-benchmark counts has, for a single caller and each contender, the round trips
// and commands on the wire, the round trips begun before the last byte of the response,
// the commands that the server executed (also inside scripts), and the allocations,
// all for one call. A call checks its response, so that no row measures errors.
//
//	go test -run '^$' -bench Chain -benchtime 5x
//
// PEERBENCH_MOMENT changes how long a contender works in a round (300ms).
package peerbench
