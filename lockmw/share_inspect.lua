-- share_inspect.lua: who holds permits of a lock.
-- KEYS    as in share.lua
-- Reply   {an owner, ms left of its lease, fence, waiters, holders}; the owner is that of the whole lock if it has one, "" if nobody holds it
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local f, whole = string.match(redis.call('GET', KEYS[4]) or '0|0|0|0|', '^%d+|%d+|(%d+)|%d+|(.*)')
local live = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES')
local o, left = '', 0
for i = 1, #live, 2 do
  if o == '' or live[i] == whole then o, left = live[i], live[i + 1] - now end
end
return {o, left, f, redis.call('ZCARD', KEYS[2]), #live / 2}
