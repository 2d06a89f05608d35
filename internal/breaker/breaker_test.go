package breaker_test

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redishttp/redishttp/internal/breaker"
)

func open(t *testing.T, b *breaker.Breaker) {
	t.Helper()
	for i := range 5 {
		ticket, ok := b.Allow()
		if !ok {
			t.Fatalf("refused after %d failures", i)
		}
		want := breaker.None
		if i == 4 {
			want = breaker.Opened
		}
		if got := b.Report(ticket, breaker.Failed, io.EOF); got != want {
			t.Fatalf("failure %d: got %v, want %v", i+1, got, want)
		}
	}
}

func TestOpensAndProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker.Breaker
		open(t, &b)
		if _, ok := b.Allow(); ok || !b.Open() {
			t.Fatal("not open after five failures")
		}
		if err := b.Err(); !errors.Is(err, breaker.ErrOpen) || !errors.Is(err, io.EOF) {
			t.Errorf("error: got %v", err)
		}
		time.Sleep(799 * time.Millisecond)
		if _, ok := b.Allow(); ok {
			t.Error("asked before 0.8s")
		}
		time.Sleep(402 * time.Millisecond)
		probe, ok := b.Allow()
		if !ok {
			t.Fatal("no probe after 1.2s")
		}
		if _, ok := b.Allow(); ok {
			t.Error("two probes at once")
		}
		b.Report(probe, breaker.Failed, io.EOF)
		time.Sleep(799 * time.Millisecond)
		if _, ok := b.Allow(); ok {
			t.Error("a failed probe let others through")
		}
		time.Sleep(402 * time.Millisecond)
		probe, _ = b.Allow()
		if got := b.Report(probe, breaker.Answered, nil); got != breaker.Closed {
			t.Errorf("answered probe: got %v, want Closed", got)
		}
		if ticket, ok := b.Allow(); !ok || b.Report(ticket, breaker.Answered, nil) != breaker.None {
			t.Error("not closed after an answer")
		}
		if opened, refused := b.Counts(); opened != 1 || refused != 4 {
			t.Errorf("counts: opened %d, refused %d", opened, refused)
		}
	})
}

func TestVoidOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker.Breaker
		for range 100 {
			ticket, _ := b.Allow()
			b.Report(ticket, breaker.NoVerdict, nil)
		}
		if b.Open() {
			t.Fatal("opened by cancelled calls")
		}
		open(t, &b)
		time.Sleep(1201 * time.Millisecond)
		probe, _ := b.Allow()
		b.Report(probe, breaker.NoVerdict, nil)
		if _, ok := b.Allow(); !ok {
			t.Error("a cancelled probe is not followed by another")
		}
	})
}

func TestAnswersInBetween(t *testing.T) {
	var b breaker.Breaker
	for range 20 {
		for range 4 {
			ticket, _ := b.Allow()
			b.Report(ticket, breaker.Failed, io.EOF)
		}
		ticket, ok := b.Allow()
		if !ok {
			t.Fatal("opened although failures were not in a row")
		}
		b.Report(ticket, breaker.Answered, nil)
	}
}

func TestHalfOpen(t *testing.T) {
	var b breaker.Breaker
	b.HalfOpen()
	if b.Open() {
		t.Error("half-opening opened it")
	}
	open(t, &b)
	b.HalfOpen()
	var through atomic.Int32
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, ok := b.Allow(); ok {
				through.Add(1)
			}
		})
	}
	wg.Wait()
	if n := through.Load(); n != 1 {
		t.Errorf("half-open: %d calls went through, want 1", n)
	}
}
