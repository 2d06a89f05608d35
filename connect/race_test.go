//go:build race

package connect_test

// raceFactor is by how much the race detector may slow down what is timed.
const raceFactor = 5
