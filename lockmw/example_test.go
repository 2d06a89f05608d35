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
	conn, err := connect.Open("default", "embedded://", embedded.Option()) // or redis://…
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
