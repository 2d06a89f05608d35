//go:build race

package chaintest

// raceAllocations are those of the race detector: it has sync.Pool forget at random.
const raceAllocations = 20
