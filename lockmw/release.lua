-- release.lua: let the lock go, or leave its queue, and wake the next waiter.
-- KEYS    the lock, its queue and its polls, as in queue.lua
-- ARGV    1 owner  2 leave the queue, too (or absent)
-- Reply   {code}: 1 released or passed on | 0 not ours | -1 its state is gone
local me, v = ARGV[1], redis.call('GET', KEYS[1])
if ARGV[2] then
  redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[3], me)
end
if not v then return {-1} end
local o, f, q = string.match(v, '^.([^|]*)|%d+|%d+|(%d+)|(.)')
if o ~= me then return {0} end
local free = 'f|0|0|' .. f .. '|'
if q == '1' then
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  q = '0'
  while true do
    local w = redis.call('ZPOPMIN', KEYS[2])
    if not w[1] then break end
    local polled = redis.call('HGET', KEYS[3], w[1])
    redis.call('HDEL', KEYS[3], w[1])
    if polled and now - polled <= 3000 then -- alive: its turn is reserved for 100 ms while it comes
      q = redis.call('ZCARD', KEYS[2]) > 0 and '1' or '0'
      free = 'r' .. w[1] .. '|' .. now + 100 .. '|100|' .. f .. '|'
      redis.pcall('PUBLISH', string.match(KEYS[1], '^(.*){') .. 'wake:' .. string.match(w[1], '^[^:]*'), 'go|' .. w[1])
      break
    end
  end
end
redis.call('SET', KEYS[1], free .. q, 'PX', 600000)
return {1}
