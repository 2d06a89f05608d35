package lograte_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/lograte"
)

func TestGateOpensOncePerPeriod(t *testing.T) {
	const period = 20 * time.Millisecond
	var g lograte.Gate
	for round := range 3 {
		opened := time.Now()
		if round == 0 && !g.Open(period) {
			t.Fatal("closed at first")
		}
		calls := 0
		for !g.Open(period) {
			calls++
		}
		if took := time.Since(opened); took < period && round == 0 {
			t.Errorf("open again after %v, want %v", took, period)
		}
		if calls == 0 {
			t.Errorf("round %d: open at once", round)
		}
	}
}

func TestGateStaysClosed(t *testing.T) {
	var g lograte.Gate
	if !g.Open(time.Hour) || g.Open(time.Hour) || g.Open(0) {
		t.Error("want open, and then closed for an hour")
	}
}

func TestGateOpensForOneOfMany(t *testing.T) {
	var (
		g    lograte.Gate
		open atomic.Int32
		wg   sync.WaitGroup
	)
	for range 100 {
		wg.Go(func() {
			if g.Open(time.Hour) {
				open.Add(1)
			}
		})
	}
	if wg.Wait(); open.Load() != 1 {
		t.Errorf("open for %d of 100 callers, want 1", open.Load())
	}
}
