package redigopool_test

import (
	"context"
	"fmt"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/redigopool"
)

func ExampleNew() {
	conn, err := connect.Open("redis+cluster://h1,h2,h3", connect.WithName("sessions"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	pool, err := redigopool.New(conn.Client())
	if err != nil {
		fmt.Println(err)
		return
	}
	manager := scs.New()
	manager.Store = redisstore.New(pool) // a redigo library on a cluster
}
