// Upgrades requests to WebSockets behind every middleware. A module of its own,
// so that users do not carry the WebSocket library.
module github.com/redishttp/redishttp/internal/wstest

go 1.26.0

replace github.com/redishttp/redishttp => ../..

require (
	github.com/coder/websocket v1.8.14
	github.com/go-redis/redis_rate/v10 v10.0.1
	github.com/redishttp/redishttp v0.0.0
)

require (
	github.com/alexedwards/scs/redisstore v0.0.0-20251002162104-209de6e426de // indirect
	github.com/alexedwards/scs/v2 v2.9.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/gomodule/redigo v1.9.3 // indirect
	github.com/maypok86/otter/v2 v2.4.0 // indirect
	github.com/redis/go-redis/v9 v9.23.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)
