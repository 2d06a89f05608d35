// gocron's Locker over package cronlock. A module of its own, so that users of
// other schedulers do not carry gocron.
module github.com/redishttp/redishttp/adapters/gocronlock

go 1.26.0

replace github.com/redishttp/redishttp => ../..

require (
	github.com/go-co-op/gocron/v2 v2.21.2
	github.com/jonboulle/clockwork v0.5.0
	github.com/redishttp/redishttp v0.0.0
	github.com/robfig/cron/v3 v3.0.1
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/redis/go-redis/v9 v9.23.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)
