-- extend.lua: let a session that is in use live longer.
-- KEYS[1] the session
-- ARGV[1] how long it shall live from now at least, in ms
-- Reply   1 extended, 0 it is gone or lives that long already
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left >= tonumber(ARGV[1]) then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
