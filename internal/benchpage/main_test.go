package main

import (
	"strings"
	"testing"
)

const output = `goos: linux
goarch: amd64
pkg: github.com/redishttp/redishttp/lockmw
cpu: A Processor
BenchmarkLock/n=64-2   	 100	  2000 ns/op	  0.9 ours/theirs	 7 allocs/op
BenchmarkLock/n=64-2   	 100	  1000 ns/op	  0.8 ours/theirs	 7 allocs/op
BenchmarkLock/n=64-2   	 100	 90000 ns/op	  0.1 ours/theirs	 7 allocs/op
PASS
ok  	github.com/redishttp/redishttp/lockmw	1.0s
pkg: github.com/redishttp/redishttp/cache
BenchmarkHit 5 0 ns/op 2.857 ours/theirs 9000 B/op
BenchmarkMiss 5 0.5 ours/theirs 9000 allocs/op
PASS
pkg: github.com/redishttp/redishttp/none
PASS
`

func TestPage(t *testing.T) {
	var b strings.Builder
	if err := page(&b, strings.NewReader(output), "two cores"); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{"on A Processor, linux/amd64, two cores", "## lockmw\n", "| `Lock/n=64` | 0.8 ours/theirs, 2000 ns/op, 7 allocs/op |\n", "| `Hit` | 2.86 ours/theirs |\n", "| `Miss` | 0.5 ours/theirs |\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "none") {
		t.Error("a package without benchmarks has a section")
	}
	if err := page(&b, strings.NewReader(output+"--- FAIL: BenchmarkHit\n"), ""); err == nil {
		t.Error("a benchmark that failed makes a page")
	}
}
