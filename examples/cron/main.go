// Command cron runs a job on one of many instances. Start it in three
// terminals beside a Redis:
//
//	redis-server
//	go run -C examples ./cron
//
// One of them works at each tick. Kill that one while it works, with kill -9,
// and another takes its tick over.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

func main() {
	var p plan
	flag.DurationVar(&p.every, "every", 5*time.Second, "how often the job is due")
	flag.DurationVar(&p.takes, "takes", 2*time.Second, "how long it takes")
	flag.DurationVar(&p.lease, "lease", 3*time.Second, "how long a dead holder keeps a tick from the others")
	flag.Parse()
	redisURL := os.Getenv("REDIS_URL")
	if redisURL == "" {
		redisURL = "redis://127.0.0.1:6379"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, redisURL, p, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// plan is when the job runs, and for how long.
type plan struct{ every, takes, lease time.Duration }

// run schedules the job until ctx ends.
func run(ctx context.Context, redisURL string, p plan, out io.Writer) error {
	conn, err := connect.Open(redisURL, connect.WithName("cron"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ready, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := conn.Ready(ready); err != nil {
		return err
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%s  pid %d  %s\n", time.Now().Format(time.TimeOnly), os.Getpid(), fmt.Sprintf(format, args...))
	}
	runner, err := cronlock.New(conn.Client(), cronlock.WithTTL(p.lease), cronlock.WithTimeout(p.lease/3), cronlock.WithTakeover(true),
		cronlock.WithHooks(cronlock.Hooks{
			Skipped: func(_ context.Context, _ string, o cronlock.Outcome) { say("not here: %s", o) },
			Failed:  func(_ context.Context, _ string, err error) { say("redis: %v", err) },
		}))
	if err != nil {
		return err
	}
	defer runner.Close(context.WithoutCancel(ctx))
	job, err := runner.Job("example", func(ctx context.Context) error {
		r, _ := cronlock.FromContext(ctx)
		say("works on tick %s, attempt %d, fence %d", r.Tick.Format(time.TimeOnly), r.Attempt, r.Fence)
		select {
		case <-time.After(p.takes):
			say("has done tick %s", r.Tick.Format(time.TimeOnly))
			return nil
		case <-ctx.Done():
			say("was stopped: %v", context.Cause(ctx))
			return context.Cause(ctx)
		}
	})
	if err != nil {
		return err
	}
	entry, err := job.Entry(aligned(p.every))
	if err != nil {
		return err
	}
	c := cron.New()
	c.Schedule(entry, entry)
	c.Start()
	say("is there, the job is due every %v", p.every)
	<-ctx.Done()
	c.Stop()
	return nil
}

// aligned is due at the same times on every instance, unlike cron.Every, which
// counts from when it was started.
type aligned time.Duration

func (a aligned) Next(t time.Time) time.Time {
	return t.Truncate(time.Duration(a)).Add(time.Duration(a))
}
