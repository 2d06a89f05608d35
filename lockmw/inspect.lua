-- inspect.lua: the state of a lock.
-- KEYS[1] the lock, KEYS[2] its queue, as in acquire.lua
-- Reply   {owner, ms left, last fence that is reserved, waiters}; the owner is "" for a lock that is free
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local k, o, x, f = string.match(redis.call('GET', KEYS[1]) or 'f|0|0|0|0', '^(.)([^|]*)|(%d+)|%d+|(%d+)|')
local left = x - now
if k == 'f' or k == 'r' or left <= 0 then o, left = '', 0 end
return {o, left, string.format('%.0f', f + (f == '0' and 0 or 15)), redis.call('ZCARD', KEYS[2])}
