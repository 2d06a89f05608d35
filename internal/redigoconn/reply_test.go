package redigoconn

import (
	"errors"
	"math"
	"math/big"
	"reflect"
	"testing"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
)

// What go-redis reads in RESP3 becomes what redigo reads in RESP2.
func TestRESP2(t *testing.T) {
	for name, tc := range map[string]struct{ in, want any }{
		"nil": {nil, nil}, "integer": {int64(7), int64(7)}, "string": {"a", []byte("a")}, "true": {true, int64(1)}, "false": {false, int64(0)},
		"double": {1.5, []byte("1.5")}, "whole double": {3.0, []byte("3")}, "inf": {math.Inf(1), []byte("inf")}, "-inf": {math.Inf(-1), []byte("-inf")},
		"nan": {math.NaN(), []byte("nan")}, "big": {big.NewInt(0).Lsh(big.NewInt(1), 70), []byte("1180591620717411303424")},
		"list": {[]any{"a", int64(1), nil, []any{true}}, []any{[]byte("a"), int64(1), nil, []any{int64(1)}}}, "empty list": {[]any{}, []any{}},
		"map": {map[any]any{"f": 2.5}, []any{[]byte("f"), []byte("2.5")}}, "error": {errors.New("ERR x"), redis.Error("ERR x")}, "null": {goredis.Nil, nil},
		"list of errors": {[]any{errors.New("ERR x"), goredis.Nil}, []any{redis.Error("ERR x"), nil}},
	} {
		if got := resp2(tc.in); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %#v, want %#v", name, got, tc.want)
		}
	}
}
