package lockmw_test

import (
	"context"
	"errors"
	"fmt"

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
