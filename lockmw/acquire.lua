-- acquire.lua: take a lock that nobody holds or waits for, which is most of them. Whatever else there is, queue.lua decides.
-- KEYS[1] the lock, a string "<kind><owner>|<expiry, ms of the server's clock>|<lease ms>|<first of 16 fences>|<queue>": kind h held,
--         g held, with grace after a clock that may have been set, r reserved for a waiter, f free; queue 1 if somebody may wait
-- ARGV    1 owner  2 lease ms
-- Reply   {1, fence, 0, now ms} granted | {0, 0, ms left of the holder's lease, now} busy | {2, 0, 0, now} ask queue.lua
-- The other 15 fences are for holders of the same process. The state is kept for ten minutes after the lease, for fences grow, and a holder that comes back is to learn that it lost.
local v = redis.call('GET', KEYS[1])
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
if v then
  local f = string.match(v, '^f|0|0|(%d+)|0')
  if not f then
    local k, o, x, l = string.match(v, '^(.)([^|]*)|(%d+)|(%d+)')
    local left = x - now
    if k ~= 'h' or o == ARGV[1] or left <= 0 or left > tonumber(l) then return {2, 0, 0, now} end
    return {0, 0, left, now}
  end
  if us <= f + 15 then us = f + 16 end -- the fence grows even when the clock does not
end
local fence = string.format('%.0f', us)
redis.call('SET', KEYS[1], 'h' .. ARGV[1] .. '|' .. now + ARGV[2] .. '|' .. ARGV[2] .. '|' .. fence .. '|0', 'PX', ARGV[2] + 600000)
return {1, us, 0, now}
