package cronlock_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

func Example() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	tick := time.Now().Truncate(time.Minute)
	for instance := range 3 { // each in a process of its own, in life
		runner, err := cronlock.New(conn.Client())
		if err != nil {
			fmt.Println(err)
			return
		}
		defer runner.Close(context.Background())
		report, err := runner.Job("nightly-report", func(context.Context) error {
			fmt.Println("the report is made")
			return nil
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		outcome, err := report.Run(context.Background(), tick) // a scheduler calls report.Func(schedule)
		fmt.Println(instance, outcome, err)
	}
	// Output:
	// the report is made
	// 0 ran <nil>
	// 1 already <nil>
	// 2 already <nil>
}

// Jobs at intervals have no common ticks; the time between starts decides.
func ExampleWithMinGap() {
	runner, err := cronlock.New(redis.NewClient(&redis.Options{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	sync, err := runner.Job("sync", func(context.Context) error { return nil }, cronlock.WithMinGap(9*time.Minute), cronlock.WithMaxRun(5*time.Minute))
	fmt.Println(sync != nil, err) // every 10 minutes: sync.Func(nil)
	// Output: true <nil>
}

// everyMinute is a schedule, as cron.ParseStandard("* * * * *") returns one.
type everyMinute struct{}

func (everyMinute) Next(after time.Time) time.Time {
	return after.Truncate(time.Minute).Add(time.Minute)
}

// An entry is both what robfig/cron asks for the next tick and what it runs:
// c.Schedule(entry, entry). So it sees the time zone of the scheduler.
func ExampleJob_Entry() {
	conn, err := connect.Open("embedded://", embedded.Option())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	runner, err := cronlock.New(conn.Client())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer runner.Close(context.Background())
	report, err := runner.Job("report", func(ctx context.Context) error {
		run, _ := cronlock.FromContext(ctx)
		fmt.Println("a whole minute:", run.Tick.Second() == 0)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	entry, err := report.Entry(everyMinute{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = entry.Next(time.Now().In(time.FixedZone("CET", 3600))) // as the scheduler does
	entry.Run()
	_, err = report.Entry(nil)
	fmt.Println(err)
	// Output:
	// a whole minute: true
	// cronlock: schedule: is nil
}

// What all instances know of a job, for a page or an alarm.
func ExampleJob_Status() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer conn.Close(ctx)
	runner, err := cronlock.New(conn.Client(), cronlock.WithHost("shop-1"), cronlock.WithHooks(cronlock.Hooks{
		Finished: func(_ context.Context, r cronlock.Run, _ time.Duration, err error) {
			fmt.Println("finished:", r.Job, r.Attempt, err)
		},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer runner.Close(ctx)
	job, err := runner.Job("cleanup", func(context.Context) error { return errors.New("the disk is full") })
	if err != nil {
		fmt.Println(err)
		return
	}
	status, err := job.Status(ctx)
	fmt.Println(status == cronlock.Status{}, err)
	outcome, err := job.Run(ctx, time.Now().Truncate(time.Minute))
	fmt.Println(outcome, err)
	status, err = job.Status(ctx)
	fmt.Println(status.Running, status.Host, status.Err, err)
	// Output:
	// true <nil>
	// finished: cleanup 1 the disk is full
	// ran the disk is full
	// false shop-1 the disk is full <nil>
}

// A job of which no tick may be lost: if its instance dies, another one runs the tick
// again, a few seconds later.
func ExampleWithTakeover() {
	runner, err := cronlock.New(redis.NewClient(&redis.Options{ContextTimeoutEnabled: true}),
		cronlock.WithTakeover(true),
		cronlock.WithTTL(6*time.Second),
		cronlock.WithTimeout(time.Second),
		cronlock.WithMaxLate(time.Hour), // run it after an outage, too
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = runner.Job("invoices", func(ctx context.Context) error {
		run, _ := cronlock.FromContext(ctx)
		_ = run.Fence // store it with the invoices, and reject smaller ones
		return nil
	})
	fmt.Println(err)
	// Output: <nil>
}
