//go:build !race

package connect_test

const raceFactor = 1
