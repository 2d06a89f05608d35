// Command benchpage reads the output of go test -bench from its input and
// writes docs/benchmarks.md: medians over the runs, and the machine they are from.
// With -compare BEFORE AFTER it writes what is different in the second of two files.
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
	if len(os.Args) == 4 && os.Args[1] == "-compare" {
		check(compareFiles(os.Stdout, os.Args[2], os.Args[3]))
		return
	}
	out, _ := exec.Command(cmp.Or(os.Getenv("REDISHTTP_REDIS_SERVER"), "redis-server"), "--version").Output()
	server := "Redis unknown"
	if name, rest, ok := strings.Cut(string(out), " server v="); ok {
		version, _, _ := strings.Cut(rest, " ")
		server = name + " " + version
	}
	machine := fmt.Sprintf("%d cores, %s, %s on the same machine", runtime.NumCPU(), runtime.Version(), server)
	check(page(os.Stdout, os.Stdin, machine))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpage:", err)
		os.Exit(1)
	}
}

func compareFiles(w io.Writer, before, after string) error {
	a, err := os.Open(before)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(after)
	if err != nil {
		return err
	}
	defer b.Close()
	return compare(w, a, b)
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
			pkg = strings.TrimPrefix(pkg, "github.com/redishttp/redishttp/")
			i := slices.IndexFunc(all, func(s *suite) bool { return s.pkg == pkg })
			if i < 0 { // else it is one more run
				i = len(all)
				all = append(all, &suite{pkg: pkg})
			}
			s = all[i]
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
		fmt.Fprintf(w, "\n## %s\n", s.pkg)
		s.list(w)
		s.tables(w)
	}
	return nil
}

// list writes the benchmarks that are not in a table of their own.
func (s *suite) list(w io.Writer) {
	header := "\n| benchmark | |\n|---|---|\n"
	for _, r := range s.results {
		if r.compares() {
			continue
		}
		fmt.Fprintf(w, "%s| `%s` | %s |\n", header, r.name, strings.Join(r.figures(), ", "))
		header = ""
	}
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
		all = append(all, short(medianOf(r.values[unit]))+" "+unit)
	}
	return all
}
