package connect_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
)

func Example() {
	conn, err := connect.Open("redis+cluster://app:pass%2Fword@h1,h2,h3:7000?read_timeout=250ms")
	if err != nil {
		fmt.Println(err) // every mistake at once
		return
	}
	defer conn.Close(context.Background())
	fmt.Println(conn)
	// Output: default (redis+cluster://app:redacted@h1:6379,h2:6379,h3:7000)
}

func ExampleOpen_mistakes() {
	_, err := connect.Open("redis+sentinel://s1:99999?read_timeout=soon&pol_size=3", connect.WithName("sessions"))
	fmt.Println(err)
	// Output:
	// connect: sessions: read_timeout: is not a duration like 500ms or a number of seconds
	// connect: sessions: query: parameter number 2 is unknown: did you mean pool_size?
	// connect: sessions: port: is not a number from 1 to 65535
}

func ExampleNew() {
	conn, err := connect.New(connect.Config{Mode: connect.Sentinel, Addrs: []string{"s1:26379"}, Master: "main"}, connect.WithPool(64, 4), connect.WithTimeouts(connect.Timeouts{Read: 250 * time.Millisecond}), connect.WithLogger(slog.Default()))
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

// One URL for each topology.
func ExampleOpen_topologies() {
	for _, url := range []string{
		"redis://app:secret@redis.internal:6379/2",
		"rediss://redis.internal", // the system's authorities; ?ca_file= for an own one
		"redis+unix:///run/redis/redis.sock?db=1",
		"redis+sentinel://app:secret@s1,s2,[2001:db8::3]:26379/mymaster",
		"rediss+sentinel://s1,s2/mymaster?sentinel_plain=true", // TLS for the data nodes only
		"rediss+cluster://app:secret@h1,h2:7000",
		"rediss+cluster://clustercfg.shop.abc123.use1.cache.amazonaws.com", // ElastiCache
	} {
		conn, err := connect.Open(url)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(strings.TrimSpace(fmt.Sprint(conn.Mode(), " ", conn.Info().Addrs, " ", conn.Info().Socket)))
		_ = conn.Close(context.Background())
	}
	// Output:
	// standalone [redis.internal:6379]
	// standalone [redis.internal:6379]
	// standalone [] /run/redis/redis.sock
	// sentinel [s1:26379 s2:26379 [2001:db8::3]:26379]
	// sentinel [s1:26379 s2:26379]
	// cluster [h1:6379 h2:7000]
	// cluster [clustercfg.shop.abc123.use1.cache.amazonaws.com:6379]
}

// Batched takes the place of Client; few callers pay nothing for it.
func ExampleConn_Batched() {
	conn, err := connect.Open("redis://localhost", connect.WithBatching(16))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	rdb := conn.Batched() // for ratelimit.New, session.New, …
	_ = rdb
	fmt.Println(conn.Stats().Batched)
	// Output: 0
}

// While Redis does not answer, calls fail at once and say why.
func ExampleUnavailableError() {
	conn, err := connect.Open("redis://127.0.0.1:1")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	for range 5 { // then the breaker opens
		_ = conn.Client().Get(context.Background(), "k").Err()
	}
	err = conn.Client().Get(context.Background(), "k").Err()
	fmt.Println(errors.Is(err, connect.ErrUnavailable), conn.Stats().Refused)
	fmt.Println(err)
	// Output:
	// true 1
	// connect: default: redis is unavailable: the circuit breaker is open: dial tcp 127.0.0.1:1: connect: connection refused
}

func ExampleFromEnv() {
	os.Setenv("SHOP_URL", "redis://localhost")
	os.Setenv("SHOP_CACHE_URL", "rediss+cluster://cache.internal")
	os.Setenv("SHOP_CACHE_PASSWORD", "secret") // better: SHOP_CACHE_PASSWORD_FILE
	os.Setenv("SHOP_ALIASES", "sessions=default")
	set, err := connect.FromEnv("SHOP")
	if err != nil {
		fmt.Println(err) // all mistakes, with the variables' names
		return
	}
	defer set.Close(context.Background())
	sessions, err := set.Get("sessions")
	fmt.Println(sessions, err)
	fmt.Println(set)
	// Output:
	// default (redis://localhost:6379/0) <nil>
	// connections: cache, default
}

func ExampleSet_HealthHandler() {
	set := connect.NewSet()
	_ = set.Add("sessions", "redis://localhost")
	_ = set.Add("cache", "redis://localhost:6380")
	defer set.Close(context.Background())
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", set.HealthHandler("sessions")) // cannot serve without these; the cache is only reported
	mux.Handle("GET /livez", set.LivenessHandler())          // does not ask Redis
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/livez", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 {"status":"ok"}
}

// A token that is asked for at each new connection, and connections that end
// before it does.
func ExampleWithCredentials() {
	token := func(context.Context) (user, password string, err error) { return "app", "a token of now", nil }
	conn, err := connect.Open("rediss+cluster://cache.internal?conn_max_lifetime=11h", connect.WithCredentials(token))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	fmt.Println(conn)
	// Output: default (rediss+cluster://cache.internal:6379)
}

// A program that has a go-redis client keeps it, and gets health checks for it.
func ExampleFromClient() {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	defer rdb.Close()
	conn, err := connect.FromClient(rdb, connect.WithName("shop"))
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	conn.HealthHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	fmt.Println(conn, w.Code)
	// Output: shop (redis://127.0.0.1:1/0) 503
}

// The zero fields leave the timeouts of the URL, or the defaults, in place.
func ExampleWithTimeouts() {
	conn, err := connect.Open("redis://localhost?dial_timeout=2s", connect.WithTimeouts(connect.Timeouts{Read: 250 * time.Millisecond}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	o := conn.Client().(*redis.Client).Options()
	fmt.Println(o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout)
	// Output: 2s 250ms 1s 500ms
}
