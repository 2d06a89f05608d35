-- guarded.lua: replace a value only if it is still the one that was read.
-- KEYS[1] the key
-- ARGV[1] the value that was read, ARGV[2] the new one, ARGV[3] its expiry in ms, since 1970 if ARGV[4] is PXAT, from now if it is PX
-- Reply   1 written, 0 the key is gone, or the other value that is there now
local now = redis.call('GET', KEYS[1])
if not now then return 0 end
-- Its own value means that an earlier attempt was executed and its reply lost.
if now ~= ARGV[1] and now ~= ARGV[2] then return now end
redis.call('SET', KEYS[1], ARGV[2])
redis.call(ARGV[4] == 'PX' and 'PEXPIRE' or 'PEXPIREAT', KEYS[1], ARGV[3])
return 1
