package lockmw_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A holder is one grant, as the process that got it saw it: when it believed
// first and last to hold the lock, by clock.
type holder struct {
	fence       uint64
	process     string // the name of its log
	first, last time.Duration
}

// holders reads the logs of all processes.
func holders(t *testing.T, dir string) []*holder {
	t.Helper()
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	all := map[uint64]*holder{}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var at int64
			var fence uint64
			if n, _ := fmt.Sscan(line, &at, &fence); n != 2 {
				continue // its writer was killed
			}
			h := all[fence]
			if h == nil {
				h = &holder{fence: fence, process: log, first: time.Duration(at)}
				all[fence] = h
			}
			if h.process != log {
				t.Errorf("%s and %s had one fence, %d", h.process, log, fence)
			}
			h.first, h.last = min(h.first, time.Duration(at)), max(h.last, time.Duration(at))
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *holder) int { return cmp.Compare(a.fence, b.fence) })
}

// An overlap is a holder that believed to hold the lock when another with a
// greater fence did so already.
type overlap struct {
	old      *holder
	from, to time.Duration // from when the other began until when the older believed
}

func overlaps(all []*holder) (found []overlap) {
	next := time.Duration(1<<63 - 1) // when the first of those with a greater fence began
	for _, h := range slices.Backward(all) {
		if h.last > next {
			found = append(found, overlap{h, next, h.last})
		}
		next = min(next, h.first)
	}
	return found
}

// The arithmetic by which TestChaos finds overlaps.
func TestOverlaps(t *testing.T) {
	for name, tc := range map[string]struct {
		all  []*holder
		want int
	}{
		"none":                        {nil, 0},
		"in turn":                     {[]*holder{{1, "a", 1, 2}, {2, "b", 3, 3}, {3, "a", 4, 9}}, 0},
		"an older one goes on":        {[]*holder{{1, "a", 1, 4}, {2, "b", 3, 5}}, 1},
		"and over two":                {[]*holder{{1, "a", 1, 9}, {2, "b", 3, 4}, {3, "b", 5, 6}}, 1},
		"an older one begins later":   {[]*holder{{1, "a", 7, 8}, {2, "b", 3, 4}}, 1},
		"two older ones go on":        {[]*holder{{1, "a", 1, 9}, {2, "b", 2, 9}, {3, "c", 8, 10}}, 2},
		"what comes after is in turn": {[]*holder{{1, "a", 1, 4}, {2, "b", 3, 5}, {3, "c", 6, 7}}, 1},
	} {
		if got := overlaps(tc.all); len(got) != tc.want {
			t.Errorf("%s: got %v, want %d", name, got, tc.want)
		}
	}
}
