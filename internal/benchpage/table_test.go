package main

import (
	"strings"
	"testing"
)

const beside = `goos: linux
goarch: amd64
pkg: github.com/redishttp/redishttp/internal/peerbench
BenchmarkChain/hit/n=1-2  1  100 GET/s  20 GET-cpu-µs  30 GET-p50-µs  0.50 client/GET  40 client-cpu-µs  60 client-p50-µs  0.40 peer/GET  50 peer-cpu-µs  70 peer-p50-µs  3 bare-x/GET  9 bare-x-cpu-µs
BenchmarkChain/hit/n=64-2  1  2000 GET/s  20 GET-cpu-µs  30 GET-p50-µs  0.50 client/GET  40 client-cpu-µs  60 client-p50-µs  0.60 peer/GET  50 peer-cpu-µs  70 peer-p50-µs  3 bare-x/GET  9 bare-x-cpu-µs
BenchmarkChain/hit/counts-2  1  7 GET-allocs  3 client-trips  2 client-waited  3 client-sent  6.02 client-executed  148 client-allocs  2 peer-trips  2 peer-waited  2 peer-sent  2.5 peer-executed  50 peer-allocs
PASS
`

func TestTables(t *testing.T) {
	var b strings.Builder
	if err := page(&b, strings.NewReader(beside), ""); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"### Chain\n",
		"| | client | GET | peer | bare-x |\n|---|--:|--:|--:|--:|\n| hit/n=1 | 0.5 | 100/s | 0.4 | 3 |\n| hit/n=64 | 0.5 | 2000/s | **0.6** | 3 |\n",
		"| hit/n=1 | 40 | 20 | 50 | 9 |\n",
		"| hit | 3 / 2 / 3 / 6 / 148 | 7 | 2 / 2 / 2 / 2.5 / 50 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "| benchmark |") {
		t.Errorf("a benchmark is listed beside its table:\n%s", got)
	}
}

func TestCompare(t *testing.T) {
	round := func(rate, peer, trips string) string {
		s := strings.NewReplacer("0.50 client/GET", rate+" client/GET", "0.40 peer/GET", peer+" peer/GET", "3 client-trips", trips+" client-trips")
		return s.Replace(beside)
	}
	before := round("0.50", "0.40", "3") + round("0.52", "0.44", "3") + round("0.51", "0.40", "3")
	before = strings.ReplaceAll(before, "6.02 client-executed", "6.30 client-executed") // once in a while
	after := round("0.80", "0.44", "1") + round("0.90", "0.44", "1") + round("0.85", "0.41", "1")
	var b strings.Builder
	if err := compare(&b, strings.NewReader(before), strings.NewReader(after)); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"| Chain/hit/counts | client-trips | 3 | 1 | -67 % |  |\n",
		"| Chain/hit/n=1 | client/GET | 0.51 | 0.85 | +67 % |  |\n",
		"Noise of rates: peers and floors, the same in both, moved by 0 % in the median, nine of ten by at most 10 %",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Index(got, "client-trips") > strings.Index(got, "client/GET") {
		t.Errorf("counts are not first:\n%s", got)
	}
	if strings.Contains(got, "-allocs") || strings.Contains(got, "-executed") || strings.Contains(got, "cpu/GET") || strings.Contains(got, "| peer") {
		t.Errorf("something that did not change, or is not ours:\n%s", got)
	}
}

// What moved no more than peers did may be noise.
func TestCompareWithinTheNoise(t *testing.T) {
	busy := strings.NewReplacer("0.50 client/GET", "0.40 client/GET", "0.60 peer/GET", "0.30 peer/GET", "0.40 peer/GET", "0.20 peer/GET").Replace(beside)
	var b strings.Builder
	if err := compare(&b, strings.NewReader(beside), strings.NewReader(busy)); err != nil {
		t.Fatal(err)
	}
	if want := "| Chain/hit/n=1 | client/GET | 0.5 | 0.4 | -20 % | within the noise |\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}

// Rounds that overlap are told apart, and rows of one side are named.
func TestCompareInDoubt(t *testing.T) {
	slower := strings.ReplaceAll(beside, "0.50 client/GET", "0.30 client/GET")
	_, counts, _ := strings.Cut(beside, "BenchmarkChain/hit/counts")
	renamed := "BenchmarkChain/new/counts" + counts
	var b strings.Builder
	if err := compare(&b, strings.NewReader(beside+slower+beside), strings.NewReader(slower+beside+slower+renamed)); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{"no count is different", "| Chain/hit/n=64 | client/GET | 0.5 | 0.3 | -40 % | rounds overlap |\n", "Only in one of them: internal/peerbench Chain/new/counts"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
