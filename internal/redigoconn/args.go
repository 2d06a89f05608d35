package redigoconn

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
)

// normalise prints arguments as redigo does; go-redis would refuse unknown
// types and print durations as nanoseconds.
func normalise(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		out[i] = argument(arg, true)
	}
	return out
}

func argument(arg any, custom bool) any {
	switch a := arg.(type) {
	case string, []byte, int64:
		return a
	case int:
		return int64(a)
	case float64:
		return strconv.FormatFloat(a, 'g', -1, 64)
	case bool:
		if a {
			return "1"
		}
		return "0"
	case nil:
		return ""
	case redis.Argument:
		if custom {
			return argument(a.RedisArg(), false)
		}
	}
	return fmt.Sprint(arg)
}

// goRedis is the command for go-redis. GET has a type of its own, whose bytes
// are not copied.
func (c command) goRedis(ctx context.Context) goredis.Cmder {
	all := make([]any, 0, 1+len(c.args))
	all = append(all, strings.ToLower(c.name))
	all = append(all, c.args...)
	if c.name == "GET" {
		return goredis.NewStringCmd(ctx, all...)
	}
	cmd := goredis.NewCmd(ctx, all...)
	switch c.name {
	case "EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO":
		if len(c.args) > 2 && fmt.Sprint(c.args[1]) != "0" {
			cmd.SetFirstKeyPos(3) // else a cluster client routes by the script's name
		}
	}
	return cmd
}
