package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// change is a figure of ours in two runs.
type change struct {
	row, unit     string
	kind          kind      // of a ratio
	before, after []float64 // one for each round
}

func (c change) medians() (before, after float64) { return medianOf(c.before), medianOf(c.after) }

// relative is how much larger the figure is after, 0.1 for a tenth.
func (c change) relative() float64 {
	before, after := c.medians()
	if before == after {
		return 0
	}
	return after/before - 1
}

// isClear reports whether all rounds after lie on one side of all rounds before.
func (c change) isClear() bool {
	return slices.Min(c.after) > slices.Max(c.before) || slices.Max(c.after) < slices.Min(c.before)
}

// comparison is what two runs have in common.
type comparison struct {
	counts, times []change           // of ours
	control       map[kind][]float64 // how much peers and floors moved, which are the same in both
	missing       []string           // rows that only one of them has
}

// noise is how much figures of a kind move by themselves: nine of ten move no more.
func (c *comparison) noise(k kind) float64 {
	all := slices.Sorted(slices.Values(c.control[k]))
	if len(all) == 0 {
		return 0
	}
	return all[len(all)*9/10]
}

// doubt says why a change may be none.
func (c *comparison) doubt(d change) string {
	switch {
	case math.Abs(d.relative()) <= c.noise(d.kind):
		return "within the noise"
	case !d.isClear():
		return "rounds overlap"
	}
	return ""
}

// compare writes what is different in after: counts first, which do not depend on the
// machine, then ratios to the base.
func compare(w io.Writer, before, after io.Reader) error {
	old, _, _, err := parse(before)
	if err != nil {
		return err
	}
	recent, _, _, err := parse(after)
	if err != nil {
		return err
	}
	c := pair(old, recent)
	fmt.Fprintf(w, "## Counts, for one call of a single caller\n\n")
	c.write(w, c.counts, "no count is different", change.isOtherCount)
	fmt.Fprintf(w, "\n## Ratios to the base (rate: more is better; cpu, p50 and p99: less is better)\n\n")
	c.write(w, c.times, "no ratio moved by 5 %", func(d change) bool { return math.Abs(d.relative()) >= 0.05 })
	for _, k := range measures {
		if all := c.control[k]; len(all) > 0 {
			fmt.Fprintf(w, "\nNoise of %s: peers and floors, the same in both, moved by %.0f %% in the median, nine of ten by at most %.0f %%.\n",
				cmp.Or(strings.TrimSuffix(strings.TrimPrefix(k.suffix, "-"), "-µs"), "rates"), 100*medianOf(all), 100*c.noise(k))
		}
	}
	for _, name := range c.missing {
		fmt.Fprintf(w, "\nOnly in one of them: %s\n", name)
	}
	return nil
}

// isOtherCount leaves out what runs only now and then.
func (c change) isOtherCount() bool {
	before, after := c.medians()
	return math.Abs(after-before) >= 0.5 && math.Abs(c.relative()) >= 0.005
}

// write writes those that are worth it, the clear and large ones first.
func (c *comparison) write(w io.Writer, all []change, none string, worth func(change) bool) {
	if len(all) == 0 {
		none = "the two have nothing of this kind in common"
	}
	all = slices.DeleteFunc(slices.Clone(all), func(d change) bool { return !worth(d) })
	if len(all) == 0 {
		fmt.Fprintln(w, none)
		return
	}
	slices.SortStableFunc(all, func(a, b change) int {
		doubted := func(d change) int { return min(len(c.doubt(d)), 1) }
		return cmp.Or(doubted(a)-doubted(b), cmp.Compare(math.Abs(b.relative()), math.Abs(a.relative())))
	})
	fmt.Fprint(w, "| | | before | after | change | |\n|---|---|--:|--:|--:|---|\n")
	for _, d := range all {
		before, after := d.medians()
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", d.row, d.unit, short(before), short(after), percent(d.relative()), c.doubt(d))
	}
}

// percent of a change from nothing is not a number.
func percent(relative float64) string {
	if math.IsInf(relative, 0) {
		return ""
	}
	return fmt.Sprintf("%+.0f %%", 100*relative)
}

// pair finds the rows that both have.
func pair(old, recent []*suite) *comparison {
	c := &comparison{control: map[kind][]float64{}}
	byName := map[string]*result{}
	for _, s := range old {
		for _, r := range s.results {
			byName[s.pkg+" "+r.name] = r
		}
	}
	for _, s := range recent {
		for _, r := range s.results {
			name := s.pkg + " " + r.name
			if before := byName[name]; before != nil {
				c.add(before, r)
				delete(byName, name)
				continue
			}
			c.missing = append(c.missing, name)
		}
	}
	for name := range byName {
		c.missing = append(c.missing, name)
	}
	slices.Sort(c.missing)
	return c
}

// add takes the figures of a row.
func (c *comparison) add(before, after *result) {
	for _, name := range after.contenders() {
		own := slices.Contains(ours, name)
		for _, k := range counts {
			if d, ok := difference(before, after, name+k.suffix); ok && own {
				c.counts = append(c.counts, d)
			}
		}
		for _, k := range measures {
			d, ok := normal(before, after, name, k)
			switch {
			case ok && own:
				c.times = append(c.times, d)
			case ok:
				c.control[k] = append(c.control[k], math.Abs(d.relative()))
			}
		}
	}
	if after.compares() {
		return // an iteration is a round of all
	}
	for _, unit := range []string{"allocs/op", "B/op"} {
		if d, ok := difference(before, after, unit); ok {
			c.counts = append(c.counts, d)
		}
	}
}

func difference(before, after *result, unit string) (change, bool) {
	d := change{row: after.name, unit: unit, before: before.values[unit], after: after.values[unit]}
	return d, len(d.before) > 0 && len(d.after) > 0
}

// normal is a figure in proportion to the base's in the same round.
func normal(before, after *result, name string, k kind) (change, bool) {
	base := after.base()
	if base == "" || name == base {
		return change{}, false
	}
	if k.suffix == "" {
		d, ok := difference(before, after, name+"/"+base)
		d.kind = k
		return d, ok
	}
	d, ok := difference(before, after, name+k.suffix)
	d.kind = k
	d.before, d.after = divide(d.before, before.values[base+k.suffix]), divide(d.after, after.values[base+k.suffix])
	d.unit = strings.TrimSuffix(d.unit, "-µs") + "/" + base
	return d, ok && len(d.before) > 0 && len(d.after) > 0
}

// divide is empty if there is not a base for each.
func divide(values, base []float64) (all []float64) {
	if len(values) != len(base) {
		return nil
	}
	for i, v := range values {
		all = append(all, v/base[i])
	}
	return all
}
