-- fence.lua: write the agreed fence of a lock to one of several masters, so that the next majority knows it.
-- KEYS[1] the lock, as in vote.lua
-- ARGV    1 owner  2 fence
-- Reply   1 it has the fence, or a greater one | 0 somebody else's
local h = redis.call('HMGET', KEYS[1], 'o', 'f')
if h[1] ~= ARGV[1] then return 0 end
if tonumber(h[2]) < tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], 'f', ARGV[2]) end
return 1
