package ratelimit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// TestMain is also the second process of TestTwoProcessesAdmitExactlyTheBurst.
func TestMain(m *testing.M) {
	if os.Getenv("RATELIMIT_CHILD") != "" {
		if err := child(); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	redistest.Main(m)
}

const (
	exactBurst = 150
	perProcess = 200
)

// child asks with 200 goroutines when a line comes in, and prints how many
// requests were admitted and how many failed.
func child() error {
	conn, err := connect.Open(os.Getenv("RATELIMIT_URL"), connect.WithName("child"))
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	if err := conn.Ready(context.Background()); err != nil {
		return err
	}
	size, _ := strconv.Atoi(os.Getenv("RATELIMIT_DENY"))
	var rdb ratelimit.Client = conn.Client()
	if os.Getenv("RATELIMIT_BATCHED") == "true" {
		rdb = conn.Batched()
	}
	l, err := ratelimit.New(rdb, redis_rate.PerHour(exactBurst), ratelimit.WithKeyPrefix(os.Getenv("RATELIMIT_PREFIX")),
		ratelimit.WithTimeout(20*time.Second), ratelimit.WithDenyCache(size, time.Second))
	if err != nil {
		return err
	}
	for i := range 8 { // connections are open, and every node knows the script
		if _, err := l.Allow(context.Background(), fmt.Sprint("warm", i)); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	var admitted, failed atomic.Int32
	var wg sync.WaitGroup
	for range perProcess {
		wg.Go(func() {
			d, err := l.Allow(context.Background(), "the client")
			switch {
			case err != nil:
				failed.Add(1)
			case d.Allowed:
				admitted.Add(1)
			}
		})
	}
	wg.Wait()
	fmt.Println(admitted.Load(), failed.Load())
	return nil
}

func TestTwoProcessesAdmitExactlyTheBurst(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for _, size := range []int{0, 65536} {
			for _, batched := range []bool{false, true} {
				t.Run(fmt.Sprintf("deny=%d/batched=%v", size, batched), func(t *testing.T) {
					prefix := redistest.Prefix(t)
					type process struct {
						start func() error
						lines *bufio.Scanner
						wait  func() error
					}
					var processes []process
					for range 2 {
						cmd := exec.CommandContext(t.Context(), program)
						cmd.Env = append(os.Environ(), "RATELIMIT_CHILD=1", "RATELIMIT_URL="+g.URL, "RATELIMIT_PREFIX="+prefix,
							fmt.Sprint("RATELIMIT_DENY=", size), fmt.Sprint("RATELIMIT_BATCHED=", batched))
						in, err1 := cmd.StdinPipe()
						out, err2 := cmd.StdoutPipe()
						if err := errors.Join(err1, err2, cmd.Start()); err != nil {
							t.Fatal(err)
						}
						p := process{lines: bufio.NewScanner(out), wait: cmd.Wait, start: func() error { _, err := in.Write([]byte("go\n")); return err }}
						if !p.lines.Scan() || p.lines.Text() != "ready" {
							t.Fatalf("the process says %q", p.lines.Text())
						}
						processes = append(processes, p)
					}
					for _, p := range processes {
						if err := p.start(); err != nil {
							t.Fatal(err)
						}
					}
					total := 0
					for _, p := range processes {
						p.lines.Scan()
						admitted, failed, _ := strings.Cut(p.lines.Text(), " ")
						n, err := strconv.Atoi(admitted)
						if err != nil || failed != "0" {
							t.Fatalf("the process says %q", p.lines.Text())
						}
						total += n
						if err := p.wait(); err != nil {
							t.Error(err)
						}
					}
					if total != exactBurst {
						t.Errorf("%d processes with %d goroutines each admitted %d, want %d", 2, perProcess, total, exactBurst)
					}
				})
			}
		}
	})
}
