-- acquire.lua: take the lock, or queue for it.
-- KEYS[1] the lock, a hash: o owner, x expiry (ms, server clock), f fence, i owner's channel,
--         r/rx reservation for a waiter and its expiry, w:<owner> "channel|last poll" of each waiter
-- KEYS[2] the queue, a sorted set of waiters by arrival (us)
-- ARGV    1 owner  2 channel  3 lease ms  4 retention ms  5 queue if busy (1|0)  6 longest queue  7 queued before (1|0)
-- Reply   {1, fence, lease ms} granted | {0, 0, ms until it may be free} busy | {-1, 0, ms} busy and the queue is full
-- Asking twice with one owner grants once, with one fence. 16 fences are reserved, for holders of the same process; f is the last.
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
local h = redis.call('HMGET', KEYS[1], 'o', 'x', 'f', 'i', 'r', 'rx')
local o, x, f = h[1] or '', tonumber(h[2] or 0), tonumber(h[3] or 0)
local me, lease, keep = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
if o == me and x > now then return {1, string.format('%.0f', f - 15), x - now} end
local left = 0
if o ~= '' and x > now then
  left = x - now
elseif h[5] and h[5] ~= '' and h[5] ~= me and tonumber(h[6]) > now then
  left = tonumber(h[6]) - now
end
if left > 0 then
  if ARGV[5] ~= '1' then return {0, 0, left} end
  if not redis.call('ZSCORE', KEYS[2], me) and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then return {-1, 0, left} end
  redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', us), me)
  redis.call('HSET', KEYS[1], 'w:' .. me, ARGV[2] .. '|' .. string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[2], keep + lease)
  redis.call('PEXPIRE', KEYS[1], keep + lease)
  return {0, 0, left}
end
if o ~= '' and o ~= me and h[4] and h[4] ~= '' then -- the last holder never released: tell it
  redis.call('PUBLISH', h[4], 'lost|' .. o)
end
if us <= f then us = f + 1 end -- the fence grows even when the clock does not
redis.call('HSET', KEYS[1], 'o', me, 'i', ARGV[2], 'x', string.format('%.0f', now + lease), 'f', string.format('%.0f', us + 15))
if h[5] and h[5] ~= '' then redis.call('HDEL', KEYS[1], 'r', 'rx') end
if ARGV[7] == '1' then
  redis.call('HDEL', KEYS[1], 'w:' .. me)
  redis.call('ZREM', KEYS[2], me)
end
redis.call('PEXPIRE', KEYS[1], lease + keep)
return {1, string.format('%.0f', us), lease}
