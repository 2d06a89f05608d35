-- share.lua: take one of several permits of a lock, or all of them, or queue for it.
-- KEYS[1] who holds it, a sorted set by expiry (ms, server clock)
-- KEYS[2] the queue, a sorted set of waiters by arrival (us)   KEYS[3] "s|w" for share or whole and when it polled last (ms), a hash by waiter;
--         * is who was woken last, and when
-- KEYS[4] a string "<permits>|<longest lease ms>|<fence>|<grace, ms>|<owner of the whole>": 0 permits are as many as come
-- ARGV    1 owner  2 lease ms  3 s or w  4 permits  5 if busy: 0 go away, 1 queue  6 longest queue  7 expected time, 8 tolerance: see queue.lua
-- Reply   {1, fence, 0, now ms} granted | {0, 0, ms until it may be free, now} busy | {-1, …} and the queue is full | {-3, …} others
--         have another number of permits
-- Asking twice with one owner grants once. The fence of a share is that of the last whole if there is no bound, else it grows.
local me, lease, kind, permits = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
local had, longest, f, grace, whole = string.match(redis.call('GET', KEYS[4]) or '0|0|0|0|', '^(%d+)|(%d+)|(%d+)|(%d+)|(.*)')
longest, grace = math.max(tonumber(longest), lease), tonumber(grace)
local function keep()
  redis.call('SET', KEYS[4], permits .. '|' .. longest .. '|' .. f .. '|' .. grace .. '|' .. whole, 'PX', longest + 600000)
end
for _, o in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now + longest + 1, '+inf')) do -- the clock was set back
  redis.call('ZADD', KEYS[1], now + longest, o)
end
if redis.call('ZCOUNT', KEYS[1], '-inf', now) > 0 then
  if math.abs(now - ARGV[7]) <= tonumber(ARGV[8]) or grace > 0 and now >= grace then
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    grace = 0
  elseif grace == 0 or grace > now + longest then -- the clock may have been set forward: a lease more for all
    grace = now + longest
    keep()
  end
end
local n = redis.call('ZCARD', KEYS[1])
if n == 0 then longest, whole = lease, '' elseif had ~= permits then return {-3, 0, 0, now} end
if redis.call('ZSCORE', KEYS[1], me) then -- the reply was lost: the lease counts from now
  redis.call('ZADD', KEYS[1], now + lease, me)
  return {1, tonumber(f), 0, now}
end
local function wake(o)
  redis.call('HSET', KEYS[3], '*', o .. '|' .. now)
  redis.pcall('PUBLISH', string.match(KEYS[1], '^(.*){') .. 'wake:' .. string.match(o, '^[^:]*'), 'go|' .. o)
end
local fits = kind == 'w' and n == 0 or kind == 's' and whole == '' and (permits == '0' or n < tonumber(permits))
local head -- of the queue: passed over if it has not polled for 3 s, or not come 100 ms after it was woken
while true do
  head = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not head or head == me then break end
  local polled, woken = redis.call('HGET', KEYS[3], head), nil
  if polled and now - string.sub(polled, 3) <= 3000 then
    if not fits then break end
    woken = string.match(redis.call('HGET', KEYS[3], '*') or '', '^' .. head .. '|(.*)')
    if not woken then wake(head) end
    if not woken or now - woken <= 100 then break end
  end
  redis.call('ZREM', KEYS[2], head)
  redis.call('HDEL', KEYS[3], head)
end
if not fits or head and head ~= me then
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  local left = math.max(first and first - now or 0, grace - now, 100)
  if ARGV[5] == '0' then return {0, 0, left, now} end
  if not redis.call('ZSCORE', KEYS[2], me) and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then return {-1, 0, left, now} end
  redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', us), me)
  redis.call('HSET', KEYS[3], me, kind .. '|' .. now)
  redis.call('PEXPIRE', KEYS[2], longest + 600000)
  redis.call('PEXPIRE', KEYS[3], longest + 600000)
  return {0, 0, left, now}
end
redis.call('ZADD', KEYS[1], now + lease, me)
redis.call('PEXPIRE', KEYS[1], longest + 600000)
if head then
  redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[3], me)
end
if kind == 'w' or permits ~= '0' or f == '0' then f = string.format('%.0f', math.max(us, f + 1)) end
if kind == 'w' then whole = me end
keep()
local next = kind == 's' and redis.call('ZRANGE', KEYS[2], 0, 0)[1] -- it may have room beside this one
if next and string.sub(redis.call('HGET', KEYS[3], next) or '', 1, 1) == 's' then wake(next) end
return {1, tonumber(f), 0, now}
