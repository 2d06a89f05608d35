package connect_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redishttp/redishttp/connect"
)

func Example() {
	conn, err := connect.Open("default", "redis+cluster://app:pass%2Fword@h1,h2,h3:7000?read_timeout=250ms")
	if err != nil {
		fmt.Println(err) // every mistake at once
		return
	}
	defer conn.Close(context.Background())
	fmt.Println(conn)
	// Output: default (redis+cluster://app:redacted@h1:6379,h2:6379,h3:7000)
}

func ExampleOpen_mistakes() {
	_, err := connect.Open("sessions", "redis+sentinel://s1:99999?read_timeout=soon&pol_size=3")
	fmt.Println(err)
	// Output:
	// connect: sessions: read_timeout: is not a duration like 500ms or a number of seconds
	// connect: sessions: query: parameter number 2 is unknown: did you mean pool_size?
	// connect: sessions: port: is not a number from 1 to 65535
}

func ExampleNew() {
	conn, err := connect.New("default", connect.Config{Mode: connect.Sentinel, Addrs: []string{"s1:26379"}, Master: "main"},
		connect.WithPool(64, 4), connect.WithTimeouts(0, 250*time.Millisecond, 0, 0), connect.WithLogger(slog.Default()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	fmt.Println(conn.Mode(), conn.Info().PoolSize)
	// Output: sentinel 64
}

func ExampleSet() {
	set := connect.NewSet(connect.WithClientName("shop"))
	_ = set.Add("default", "redis://localhost")
	_ = set.Alias("sessions", "default")
	defer set.Close(context.Background())
	_, err := set.Get("session")
	fmt.Println(err)
	// Output: connect: no connection "session", known are: default, sessions; did you mean "sessions"?
}
