package redigoconn

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
)

// status are the commands that reply with a status line, a string in redigo.
// Other strings are bulk, []byte. go-redis does not distinguish the two.
var status = map[string]bool{
	"SET": true, "SETEX": true, "PSETEX": true, "MSET": true, "HMSET": true, "LSET": true, "LTRIM": true,
	"RENAME": true, "TYPE": true, "RESTORE": true, "PING": true, "FLUSHDB": true, "FLUSHALL": true, "PFMERGE": true, "SWAPDB": true,
}

func (c command) isStatus() bool {
	switch {
	case c.name == "SET": // SET … GET returns the old value
		for _, arg := range c.args[min(2, len(c.args)):] {
			if s, ok := arg.(string); ok && strings.EqualFold(s, "GET") {
				return false
			}
		}
	case c.name == "PING":
		return len(c.args) == 0
	case c.name == "XGROUP":
		return len(c.args) > 0 && strings.EqualFold(text(c.args[0]), "CREATE")
	}
	return status[c.name]
}

// pairs reports whether RESP3 has a list of pairs where RESP2 has a flat list.
func (c command) pairs() bool {
	switch c.name {
	case "ZPOPMIN", "ZPOPMAX":
		return len(c.args) > 1
	case "HRANDFIELD", "ZRANDMEMBER", "ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZUNION", "ZINTER", "ZDIFF":
		for _, arg := range c.args {
			if s := text(arg); strings.EqualFold(s, "WITHSCORES") || strings.EqualFold(s, "WITHVALUES") {
				return true
			}
		}
	}
	return false
}

func text(arg any) string {
	switch a := arg.(type) {
	case string:
		return a
	case []byte:
		return string(a)
	}
	return ""
}

// result is a reply in redigo's types for RESP2: a server's error is a
// redis.Error among the replies, another error ends the flush.
func result(c command, cmd goredis.Cmder) (any, error) {
	if err := cmd.Err(); err != nil {
		switch {
		case errors.Is(err, goredis.Nil):
			return nil, nil
		case fromServer(err):
			return wrapped(c.name, err), nil
		}
		return nil, wrapped(c.name, err)
	}
	switch r := cmd.(type) {
	case *goredis.StringCmd:
		b, err := r.Bytes()
		if err != nil {
			return nil, wrapped(c.name, err)
		}
		return b, nil
	case *goredis.Cmd:
		v := r.Val()
		if s, ok := v.(string); ok && c.isStatus() {
			return s, nil
		}
		if streams, ok := v.(map[any]any); ok && (c.name == "XREAD" || c.name == "XREADGROUP") {
			pairs := make([]any, 0, len(streams)) // the one map that RESP2 does not flatten
			for name, entries := range streams {
				pairs = append(pairs, []any{resp2(name), resp2(entries)})
			}
			return pairs, nil
		}
		reply := resp2(v)
		if list, ok := reply.([]any); ok && c.pairs() {
			return flatten(list), nil
		}
		return reply, nil
	}
	return nil, nil
}

// resp2 converts what go-redis read, in either protocol.
func resp2(v any) any {
	switch v := v.(type) {
	case nil, int64:
		return v
	case string:
		return []byte(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = resp2(v[i])
		}
		return out
	case map[any]any:
		out := make([]any, 0, 2*len(v))
		for key, value := range v {
			out = append(out, resp2(key), resp2(value))
		}
		return out
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if math.IsInf(v, 0) || math.IsNaN(v) { // as Redis writes them: inf, -inf, nan
			text = strings.ToLower(strings.TrimPrefix(text, "+"))
		}
		return []byte(text)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case *big.Int:
		return []byte(v.String())
	case error:
		if errors.Is(v, goredis.Nil) {
			return nil
		}
		return redis.Error(v.Error())
	}
	return v
}

func flatten(list []any) []any {
	out := make([]any, 0, 2*len(list))
	for _, item := range list {
		pair, ok := item.([]any)
		if !ok {
			return list // RESP2: flat already
		}
		out = append(out, pair...)
	}
	return out
}
