//go:build !race

package chaintest

const raceAllocations = 0
