-- inspect.lua: the state of a lock.
-- KEYS[1] the lock, KEYS[2] its queue, as in acquire.lua
-- Reply   {owner, ms left, fence, waiters}; the owner is "" for a lock that is free
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local h = redis.call('HMGET', KEYS[1], 'o', 'x', 'f')
local left = tonumber(h[2] or 0) - now
if not h[1] or h[1] == '' or left <= 0 then h[1], left = '', 0 end
return {h[1], left, h[3] or '0', redis.call('ZCARD', KEYS[2])}
