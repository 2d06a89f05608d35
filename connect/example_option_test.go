package connect_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
)

// A setting that has no option: the URL is read, changed and used.
func ExampleParse() {
	config, err := connect.Parse("redis://app:secret@localhost/2?pool_size=20")
	if err != nil {
		fmt.Println(err)
		return
	}
	config.Lifetime = time.Hour
	conn, err := connect.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	fmt.Println(config)
	fmt.Println(conn.Info().PoolSize, conn.Info().DB)
	// Output:
	// redis://app:redacted@localhost:6379/2
	// 20 2
}

// A client certificate from memory.
func ExampleWithTLS() {
	var certificate tls.Certificate // from your secret store
	conn, err := connect.Open("redis://localhost:6380", connect.WithTLS(&tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	fmt.Println(conn, conn.Info().TLS)
	// Output: default (rediss://localhost:6380/0) true
}

// Few connections for many instances, and a name for each of them.
func ExampleWithPool() {
	conn, err := connect.Open("redis://localhost",
		connect.WithPool(10, 2),
		connect.WithClientName("shop:eu-1"),
		connect.WithName("main"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	info := conn.Info()
	fmt.Println(info.Name, info.ClientName, info.PoolSize)
	// Output: main shop:eu-1 10
}

// An option of go-redis that has no counterpart here.
func ExampleWithGoRedis() {
	conn, err := connect.Open("redis://localhost", connect.WithGoRedis(func(o *redis.Options) {
		o.PoolFIFO = true
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	fmt.Println(conn.Client().(*redis.Client).Options().PoolFIFO)
	// Output: true
}

// calls counts the commands.
type calls struct{ n int }

func (*calls) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *calls) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "set" {
			c.n++
		}
		return next(ctx, cmd)
	}
}

func (*calls) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A hook of go-redis sees each command.
func ExampleWithHook() {
	counter := &calls{}
	conn, err := connect.Open("embedded://", embedded.Option(), connect.WithHook(counter))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	err = conn.Client().Set(context.Background(), "k", "v", 0).Err()
	fmt.Println(counter.n, err)
	// Output: 1 <nil>
}

// The start of a program that cannot do without Redis.
func ExampleConn_Ready() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := conn.Ready(ctx); err != nil {
		fmt.Println(err) // the cause, and what to check
		return
	}
	health := conn.Health(ctx)
	fmt.Println(health.Conn, health.OK, len(health.Nodes))
	// Output: default true 1
}

// An operator's tool.
func ExampleConn_Keys() {
	conn, err := connect.Open("embedded://", embedded.Option(), connect.WithPrefix("shop"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer conn.Close(ctx)
	if err := conn.Client().Set(ctx, conn.Key("stock", "tea"), 7, time.Hour).Err(); err != nil {
		fmt.Println(err)
		return
	}
	for key, err := range conn.Keys(ctx, conn.Key("*")) {
		fmt.Println(key, err)
	}
	// Output: shop:stock:tea <nil>
}

// Liveness does not depend on Redis.
func ExampleSet_LivenessHandler() {
	set := connect.NewSet()
	if err := set.Add("main", "redis://127.0.0.1:1"); err != nil { // no server is there
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /livez", set.LivenessHandler())
	mux.Handle("GET /readyz", set.HealthHandler("main"))
	for _, path := range []string{"/livez", "/readyz"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		fmt.Println(path, w.Code)
	}
	_ = set.Close(context.Background())
	// Output:
	// /livez 200
	// /readyz 503
}
