-- queue.lua: take the lock, or queue for it.
-- KEYS[1] the lock, as in acquire.lua
-- KEYS[2] the queue, a sorted set of waiters by arrival (us)   KEYS[3] when each waiter polled last, a hash (ms)
-- ARGV    1 owner  2 lease ms  3 if busy: 0 go away, 1 queue, 2 queued before  4 longest queue  5 the server's time (ms) as the caller
--         expects it after watching the clock for a lease, 0 if it has not  6 tolerance of that, ms
-- Reply   {1, fence, 0, now ms} granted | {0, 0, ms until it may be free, now} busy | {-1, 0, ms, now} busy and the queue is full
-- Asking twice with one owner grants once, with one fence.
-- A lock that nobody has released, because its holder died or the waiter that was woken did not come, goes to the first in the queue that
-- has polled within 3 s: it is reserved for that one for 100 ms, whoever asks.
local me, life, v = ARGV[1], ARGV[2] + 600000, redis.call('GET', KEYS[1])
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
local q = '0'
local function tell(o, what)
  redis.pcall('PUBLISH', string.match(KEYS[1], '^(.*){') .. 'wake:' .. string.match(o, '^[^:]*'), what .. '|' .. o)
end
if v then
  local k, o, x, l, f
  k, o, x, l, f, q = string.match(v, '^(.)([^|]*)|(%d+)|(%d+)|(%d+)|(.)')
  local left = x - now
  local held = k == 'h' or k == 'g'
  if held then
    if o == me and left > 0 then -- the reply was lost: the lease counts from now
      redis.call('SET', KEYS[1], 'h' .. me .. '|' .. now + ARGV[2] .. '|' .. ARGV[2] .. '|' .. f .. '|' .. q, 'PX', life)
      return {1, tonumber(f), 0, now}
    end
    local even = math.abs(now - ARGV[5]) <= tonumber(ARGV[6])
    if left > tonumber(l) or left <= 0 and k == 'h' and o ~= me and not even then -- the clock may have been set: a lease more
      left = tonumber(l)
      v = 'g' .. o .. '|' .. now + l .. '|' .. l .. '|' .. f .. '|' .. q
      redis.call('SET', KEYS[1], v, 'PX', life)
    end
  elseif k == 'r' and (o == me or left > tonumber(l)) then
    left = 0
  end
  if held and left <= 0 and o ~= me then tell(o, 'lost') end -- it never released
  while left <= 0 and q == '1' and not (k == 'r' and o == me) do
    local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
    if first == me then break end
    local polled = first and redis.call('HGET', KEYS[3], first)
    if first then
      redis.call('ZREM', KEYS[2], first)
      redis.call('HDEL', KEYS[3], first)
    end
    if redis.call('ZCARD', KEYS[2]) == 0 then q = '0' end
    if polled and now - polled <= 3000 then
      left = 100
      v = 'r' .. first .. '|' .. now + left .. '|' .. left .. '|' .. f .. '|' .. q
      redis.call('SET', KEYS[1], v, 'PX', life)
      tell(first, 'go')
    end
  end
  if left > 0 then
    if ARGV[3] == '0' then return {0, 0, left, now} end
    if not redis.call('ZSCORE', KEYS[2], me) and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return {-1, 0, left, now} end
    redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', us), me)
    redis.call('HSET', KEYS[3], me, now)
    redis.call('PEXPIRE', KEYS[2], life)
    redis.call('PEXPIRE', KEYS[3], life)
    if q ~= '1' then redis.call('SET', KEYS[1], string.sub(v, 1, -2) .. '1', 'KEEPTTL') end
    return {0, 0, left, now}
  end
  if us <= f + 15 then us = f + 16 end
end
if ARGV[3] == '2' then
  redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[3], me)
end
local fence = string.format('%.0f', us)
redis.call('SET', KEYS[1], 'h' .. me .. '|' .. now + ARGV[2] .. '|' .. ARGV[2] .. '|' .. fence .. '|' .. q, 'PX', life)
return {1, us, 0, now}
