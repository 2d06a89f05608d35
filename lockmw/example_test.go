package lockmw_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/lockmw"
)

func Example() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	locks, err := lockmw.New(conn.Client())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close(context.Background())

	k, err := locks.Acquire(context.Background(), "report") // waits for its turn
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = locks.TryAcquire(context.Background(), "report")
	fmt.Println("busy:", errors.Is(err, lockmw.ErrBusy))
	fmt.Println("released:", k.Release(context.Background()) == nil)
	// Output:
	// busy: true
	// released: true
}

// Over independent masters a majority must grant.
func ExampleNewRedlock() {
	var nodes []lockmw.Client
	for _, addr := range []string{"a:6379", "b:6379", "c:6379"} {
		nodes = append(nodes, redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true}))
	}
	locks, err := lockmw.NewRedlock(nodes)
	fmt.Println(locks != nil, err)
	_, err = lockmw.NewRedlock(nodes[:2])
	fmt.Println(err)
	// Output:
	// true <nil>
	// lockmw: nodes: 2 is not an odd number of 3 or more
}

// A semaphore: at most two imports run at a time, over all instances.
func ExampleWithPermits() {
	conn, err := connect.Open("embedded://", embedded.Option())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	imports, err := lockmw.New(conn.Client(), lockmw.WithName("imports"), lockmw.WithPermits(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer imports.Close(context.Background())
	for range 3 {
		k, err := imports.TryAcquire(context.Background(), "all")
		fmt.Println(err)
		if err == nil {
			defer k.Release(context.Background())
		}
	}
	// Output:
	// <nil>
	// <nil>
	// lockmw: busy
}

// Readers share what a writer has to itself.
func ExampleWithReadWrite() {
	conn, err := connect.Open("embedded://", embedded.Option())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	reports, err := lockmw.New(conn.Client(), lockmw.WithName("reports"), lockmw.WithReadWrite(true))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reports.Close(context.Background())
	for range 2 {
		k, err := reports.AcquireShared(context.Background(), "2026")
		if err != nil {
			fmt.Println(err)
			return
		}
		defer k.Release(context.Background())
	}
	_, err = reports.TryAcquire(context.Background(), "2026")
	fmt.Println(err)
	// Output:
	// lockmw: busy
}
