-- force.lua: take a lock away from its holder, who is told.
-- KEYS[1] the lock, KEYS[2] its queue, as in acquire.lua
-- ARGV    1 owner that it is taken from
-- Reply   1 taken away | 0 somebody else holds it, or nobody
local h = redis.call('HMGET', KEYS[1], 'o', 'i')
if h[1] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'o', '', 'x', 0, 'i', '')
if h[2] and h[2] ~= '' then redis.call('PUBLISH', h[2], 'lost|' .. ARGV[1]) end
return 1
