package connect

import (
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// together lists the commands that may share a connection and a round trip with
// those of other callers: they do not block, leave the connection as it is, and have
// one reply from one node. All others are sent by themselves.
var together = func() map[string]bool {
	all := map[string]bool{}
	for name := range strings.FieldsSeq(`
		eval evalsha eval_ro evalsha_ro fcall fcall_ro publish spublish echo
		get set del unlink exists touch getdel getex getrange getset setex psetex setnx setrange append strlen substr
		incr incrby incrbyfloat decr decrby getbit setbit bitcount bitpos bitfield bitfield_ro
		expire pexpire expireat pexpireat expiretime pexpiretime ttl pttl persist type dump
		hget hset hsetnx hmget hmset hgetall hdel hexists hincrby hincrbyfloat hkeys hvals hlen hstrlen hrandfield hscan
		hgetdel hgetex hsetex hexpire hpexpire hexpireat hpexpireat hexpiretime hpexpiretime hpersist httl hpttl
		llen lpush lpushx rpush rpushx lpop rpop lrange lindex linsert lset lrem ltrim lpos
		sadd srem scard sismember smismember smembers spop srandmember sscan
		zadd zrem zcard zcount zincrby zscore zmscore zrange zrangebyscore zrangebylex zrevrange zrevrangebyscore
		zrevrangebylex zrank zrevrank zlexcount zpopmin zpopmax zremrangebyrank zremrangebyscore zremrangebylex zscan
		pfadd xadd xlen xrange xrevrange xdel xtrim xack geoadd geopos geodist geohash geosearch`) {
		all[name] = true
	}
	return all
}()

// batchable reports whether cmd may be sent in a batch: by its name, and because its
// reply is written to the command alone.
func batchable(cmd redis.Cmder) bool {
	name := cmd.Name()
	if !together[name] || spread[name] && len(cmd.Args()) != 2 {
		return false
	}
	switch cmd.(type) {
	case *redis.RawWriteToCmd, *redis.ZeroCopyStringCmd:
		return false // a call that was left behind would write to the caller's buffer
	}
	return true
}

// weight is about how many bytes cmd sends. ok is false if it may not be possible to
// send it, or if that runs code of the caller: such a command must not fail those of
// others.
func weight(cmd redis.Cmder) (bytes int, ok bool) {
	for _, arg := range cmd.Args() {
		switch v := arg.(type) {
		case string:
			bytes += len(v)
		case []byte:
			bytes += len(v)
		case nil, int, int64, int32, uint, uint64, uint32, float64, float32, bool, time.Time, time.Duration:
		default:
			return 0, false
		}
		bytes += 8
	}
	return bytes, true
}

// firstKey is the key that tells the node of a batchable command, "" if it has none.
func firstKey(cmd redis.Cmder) string {
	args, at := cmd.Args(), 1
	switch cmd.Name() {
	case "eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro":
		at = 3
	case "publish", "echo":
		return ""
	}
	if len(args) <= at {
		return ""
	}
	key, _ := args[at].(string)
	return key
}
