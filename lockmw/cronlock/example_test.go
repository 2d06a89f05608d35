package cronlock_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

func Example() {
	conn, err := connect.Open("default", "embedded://", embedded.Option()) // or redis://…
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
