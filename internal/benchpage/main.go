// Command benchpage reads the output of go test -bench from its input and
// writes docs/benchmarks.md: medians over the runs, and the machine they are from.
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

func main() {
	out, _ := exec.Command(cmp.Or(os.Getenv("REDISHTTP_REDIS_SERVER"), "redis-server"), "--version").Output()
	server := "Redis unknown"
	if name, rest, ok := strings.Cut(string(out), " server v="); ok {
		version, _, _ := strings.Cut(rest, " ")
		server = name + " " + version
	}
	machine := fmt.Sprintf("%d cores, %s, %s on the same machine", runtime.NumCPU(), runtime.Version(), server)
	if err := page(os.Stdout, os.Stdin, machine); err != nil {
		fmt.Fprintln(os.Stderr, "benchpage:", err)
		os.Exit(1)
	}
}

// result is one benchmark: its values by unit, of all runs.
type result struct {
	name   string
	values map[string][]float64
}

type suite struct {
	pkg     string
	results []*result
}

// parse reads what go test -bench prints, of several packages.
func parse(r io.Reader) (all []*suite, cpu, system string, err error) {
	var s *suite
	platform := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		for _, name := range []string{"goos", "goarch", "cpu"} {
			if value, ok := strings.CutPrefix(line, name+": "); ok {
				platform[name] = value
			}
		}
		if pkg, ok := strings.CutPrefix(line, "pkg: "); ok {
			s = &suite{pkg: strings.TrimPrefix(pkg, "github.com/redishttp/redishttp/")}
			all = append(all, s)
		}
		if strings.HasPrefix(line, "--- FAIL") || strings.HasPrefix(line, "FAIL") {
			return nil, "", "", fmt.Errorf("a benchmark failed: %s", line)
		}
		words := strings.Fields(line)
		if s == nil || len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		s.add(words)
	}
	return all, platform["cpu"], platform["goos"] + "/" + platform["goarch"], lines.Err()
}

func (s *suite) add(words []string) {
	name := strings.TrimPrefix(words[0], "Benchmark")
	if i := strings.LastIndexByte(name, '-'); i > 0 { // GOMAXPROCS
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			name = name[:i]
		}
	}
	i := slices.IndexFunc(s.results, func(r *result) bool { return r.name == name })
	if i < 0 {
		i = len(s.results)
		s.results = append(s.results, &result{name, map[string][]float64{}})
	}
	for j := 2; j+1 < len(words); j += 2 {
		if v, err := strconv.ParseFloat(words[j], 64); err == nil {
			s.results[i].values[words[j+1]] = append(s.results[i].values[words[j+1]], v)
		}
	}
}

// page writes the page.
func page(w io.Writer, r io.Reader, machine string) error {
	all, cpu, system, err := parse(r)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, `# Benchmarks

Written by `+"`make bench`"+`, on %s, %s, %s. Medians over the runs. A busy machine moves absolute times by half and more; what is compared ran
in turn within one run, and its ratio (`+"`ours/theirs`"+`) and counts (commands, allocations, round trips) are what to look at. Each
benchmark's comment says what it does.
`, cpu, system, machine)
	for _, s := range all {
		if len(s.results) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n## %s\n\n| benchmark | |\n|---|---|\n", s.pkg)
		for _, r := range s.results {
			fmt.Fprintf(w, "| `%s` | %s |\n", r.name, strings.Join(r.figures(), ", "))
		}
	}
	return nil
}

// figures are the medians with their units, ratios and counts first.
func (r *result) figures() []string {
	var units []string
	times := r.values["ns/op"]
	whole := len(times) == 0 || slices.Max(times) == 0
	for unit := range r.values {
		if whole && slices.Contains([]string{"ns/op", "B/op", "allocs/op"}, unit) {
			continue // an iteration is a round of all that is compared
		}
		units = append(units, unit)
	}
	rank := func(unit string) int { return slices.Index([]string{"ns/op", "B/op", "allocs/op"}, unit) }
	slices.SortFunc(units, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	all := make([]string, 0, len(units))
	for _, unit := range units {
		values := slices.Sorted(slices.Values(r.values[unit]))
		v := values[len(values)/2]
		text := strconv.FormatFloat(v, 'g', 3, 64)
		if v >= 1000 {
			text = strconv.FormatFloat(v, 'f', 0, 64)
		}
		all = append(all, text+" "+unit)
	}
	return all
}
