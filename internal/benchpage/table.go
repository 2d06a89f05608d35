package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Benchmarks of internal/peerbench report each contender under units of its own:
// "client/GET" is its rate as a multiple of the base's, "client-p50-µs" its time. They
// become tables with a column for each contender.

// kind is a figure that each contender has.
type kind struct{ title, suffix string }

// measures are what a table is made of, in this order, "" is the ratio to the base.
var measures = []kind{
	{"Rate, as a multiple of the base; bold is a peer ahead of both of ours by more than 5 %", ""},
	{"CPU of the process and of Redis for a call, in µs", "-cpu-µs"},
	{"Median time of a call, in µs", "-p50-µs"},
	{"99th percentile, in µs", "-p99-µs"},
}

// counts are figures of a single caller.
var counts = []kind{{"round trips", "-trips"}, {"before the last byte", "-waited"}, {"sent", "-sent"}, {"executed", "-executed"}, {"allocations", "-allocs"}}

// ours are the contenders that stand first.
var ours = []string{"client", "batched"}

// floor is what the names of contenders begin with that are no peers.
const floor = "bare-"

// compares reports whether the benchmark has contenders.
func (r *result) compares() bool { return len(r.contenders()) > 0 }

// base is the contender that the others are compared with, "" without one.
func (r *result) base() string {
	for unit := range r.values {
		if name, ok := strings.CutSuffix(unit, "/s"); ok {
			return name
		}
	}
	return ""
}

// contenders are ours, then peers, then floors.
func (r *result) contenders() (all []string) {
	for unit := range r.values {
		for _, k := range slices.Concat(measures[1:], counts) {
			if name, ok := strings.CutSuffix(unit, k.suffix); ok && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	slices.SortFunc(all, byRank)
	return all
}

func byRank(a, b string) int {
	rank := func(name string) int {
		if i := slices.Index(ours, name); i >= 0 {
			return i - len(ours)
		}
		if strings.HasPrefix(name, floor) {
			return 1
		}
		return 0
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// of is the median of a contender's figure, and whether there is one.
func (r *result) of(name string, k kind) (float64, bool) {
	unit := name + k.suffix
	if k.suffix == "" {
		if name == r.base() {
			return 1, true
		}
		unit = name + "/" + r.base()
	}
	values := r.values[unit]
	if len(values) == 0 {
		return 0, false
	}
	return medianOf(values), true
}

func medianOf(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

const legend = `
client and batched are ours over connect's Client() and Batched(); names that begin with bare- are floors, commands by hand; the others are
peers, except for the base, which is mostly one bare GET of go-redis and has its absolute rate. CPU hardly depends on what else the machine did.
`

// tables writes the benchmarks that have contenders, a section for each function.
func (s *suite) tables(w io.Writer) {
	var groups []string
	rows := map[string][]*result{}
	for _, r := range s.results {
		if !r.compares() {
			continue
		}
		group, _, _ := strings.Cut(r.name, "/")
		if rows[group] == nil {
			groups = append(groups, group)
		}
		rows[group] = append(rows[group], r)
	}
	if len(groups) > 0 {
		fmt.Fprint(w, legend)
	}
	for _, group := range groups {
		fmt.Fprintf(w, "\n### %s\n", group)
		for _, k := range measures {
			writeTable(w, k.title, rows[group], func(r *result, name string) string { return r.cell(name, k) })
		}
		title := "For one call of a single caller: round trips / those begun before the last byte of the response / commands sent / executed, also in scripts / allocations"
		writeTable(w, title, rows[group], (*result).counted)
	}
}

// writeTable writes the rows for which cell has something to say.
func writeTable(w io.Writer, title string, rows []*result, cell func(*result, string) string) {
	var names []string
	var told []*result
	for _, r := range rows {
		some := false
		for _, name := range r.contenders() {
			if cell(r, name) == "" {
				continue
			}
			some = true
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if some {
			told = append(told, r)
		}
	}
	if len(told) == 0 {
		return
	}
	slices.SortFunc(names, byRank)
	fmt.Fprintf(w, "\n%s:\n\n| | %s |\n|---|%s\n", title, strings.Join(names, " | "), strings.Repeat("--:|", len(names)))
	for _, r := range told {
		cells := make([]string, len(names))
		for i, name := range names {
			cells[i] = cell(r, name)
		}
		_, row, _ := strings.Cut(r.name, "/")
		fmt.Fprintf(w, "| %s | %s |\n", strings.TrimSuffix(row, "/counts"), strings.Join(cells, " | "))
	}
}

// cell is a figure; a rate of the base is absolute, and one of a peer that is ahead is bold.
func (r *result) cell(name string, k kind) string {
	v, ok := r.of(name, k)
	if !ok || r.base() == "" {
		return ""
	}
	if k.suffix == "" && name == r.base() {
		return short(medianOf(r.values[name+"/s"])) + "/s"
	}
	if k.suffix == "" && r.isAhead(name, v) {
		return "**" + short(v) + "**"
	}
	return short(v)
}

// isAhead reports whether a peer with this rate is ahead of both of ours.
func (r *result) isAhead(name string, rate float64) bool {
	if slices.Contains(ours, name) || strings.HasPrefix(name, floor) {
		return false
	}
	best := 0.0
	for _, own := range ours {
		v, _ := r.of(own, kind{})
		best = max(best, v)
	}
	return rate > 1.05*best
}

// counted are the counts of a contender.
func (r *result) counted(name string) string {
	var all []string
	for _, k := range counts {
		if v, ok := r.of(name, k); ok {
			all = append(all, strconv.FormatFloat(v, 'f', decimals(v), 64))
		}
	}
	return strings.Join(all, " / ")
}

// decimals are 1 for a count that is not whole because of what runs now and then.
func decimals(v float64) int {
	if v-float64(int(v)) < 0.05 || v > 20 {
		return 0
	}
	return 1
}

// short has three digits.
func short(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
