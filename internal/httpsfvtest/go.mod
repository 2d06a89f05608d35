// Checks the limiter's headers with an independent parser of structured
// fields. A module of its own, so that users do not carry the parser.
module github.com/redishttp/redishttp/internal/httpsfvtest

go 1.26.0

replace github.com/redishttp/redishttp => ../..

require (
	github.com/dunglas/httpsfv v1.1.2
	github.com/go-redis/redis_rate/v10 v10.0.1
	github.com/redishttp/redishttp v0.0.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/redis/go-redis/v9 v9.23.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)
