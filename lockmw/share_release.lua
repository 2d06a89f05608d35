-- share_release.lua: give a permit back, or leave the queue, and wake the next waiter.
-- KEYS    as in share.lua
-- ARGV    1 owner  2 leave the queue, too (or absent)
-- Reply   {code}: 1 released | 0 not ours | -1 its state is gone
local me = ARGV[1]
local left = 0
if ARGV[2] then
  left = redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[3], me)
end
local state = redis.call('GET', KEYS[4])
local released = redis.call('ZREM', KEYS[1], me)
if released == 0 and left == 0 then return {state and 0 or -1} end
if state and string.match(state, '[^|]*$') == me then redis.call('SET', KEYS[4], string.match(state, '^.*|'), 'KEEPTTL') end
local next = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if next then
  local t = redis.call('TIME')
  redis.call('HSET', KEYS[3], '*', next .. '|' .. t[1] * 1000 + math.floor(t[2] / 1000))
  redis.pcall('PUBLISH', string.match(KEYS[1], '^(.*){') .. 'wake:' .. string.match(next, '^[^:]*'), 'go|' .. next)
end
return {1}
