-- share.lua: take one of several permits of a lock, or all of them, or queue for it.
-- KEYS[1] the holders, a sorted set by expiry (ms, server clock)
-- KEYS[2] the queue, a sorted set of waiters by arrival (us)   KEYS[3] "<kind>|<ms of the last poll>" by waiter, a hash; kind s or w, see
--         ARGV; its field * is "<waiter>|<ms>": which one was woken last, and when
-- KEYS[4] the state, see grammar.lua
-- ARGV    1 owner  2 lease ms  3 s for a share, w for the whole  4 permits  5 if busy: 0 do not queue, 1 queue  6 longest queue
--         7 expected time, 8 tolerance, as in queue.lua
-- Reply   {1, fence, 0, now ms} granted | {0, 0, ms until it may be free, now} busy | {-1, …} and the queue is full | {-3, …} it is held
--         with a different number of permits
-- Two calls by one owner grant once. With permits 0 the fence of a share is that of the last writer, else it grows.
local me, lease, kind, permits = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local us, now = clock()
local had, longest, fence, grace, writer = parse_state(redis.call('GET', KEYS[4]) or '0|0|0|0|')
longest, grace = math.max(tonumber(longest), lease), tonumber(grace)
local function save()
  redis.call('SET', KEYS[4], format_state(permits, longest, fence, grace, writer), 'PX', longest + RETENTION)
end
for _, owner in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now + longest + 1, '+inf')) do -- the clock was set back
  redis.call('ZADD', KEYS[1], now + longest, owner)
end
if redis.call('ZCOUNT', KEYS[1], '-inf', now) > 0 then
  if math.abs(now - ARGV[7]) <= tonumber(ARGV[8]) or grace > 0 and now >= grace then
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    grace = 0
  elseif grace == 0 or grace > now + longest then -- the clock may have been set forward: a lease of grace for all
    grace = now + longest
    save()
  end
end
local n = redis.call('ZCARD', KEYS[1])
if n == 0 then longest, writer = lease, '' elseif had ~= permits then return {-3, 0, 0, now} end
if redis.call('ZSCORE', KEYS[1], me) then -- the reply was lost: the lease counts from now
  redis.call('ZADD', KEYS[1], now + lease, me)
  return {1, tonumber(fence), 0, now}
end
local function wake(waiter)
  redis.call('HSET', KEYS[3], '*', waiter .. '|' .. now)
  tell(waiter, 'go')
end
local fits = kind == 'w' and n == 0 or kind == 's' and writer == '' and (permits == '0' or n < tonumber(permits))
local head -- of the queue: passed over if it has not polled recently, or did not come when it was woken
while true do
  head = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not head or head == me then break end
  local polled, woken = redis.call('HGET', KEYS[3], head), nil
  if polled and now - string.sub(polled, 3) <= ALIVE then
    if not fits then break end
    woken = string.match(redis.call('HGET', KEYS[3], '*') or '', '^' .. head .. '|(.*)')
    if not woken then wake(head) end
    if not woken or now - woken <= RESERVATION then break end
  end
  redis.call('ZREM', KEYS[2], head)
  redis.call('HDEL', KEYS[3], head)
end
if not fits or head and head ~= me then
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  local left = math.max(first and first - now or 0, grace - now, RESERVATION)
  if ARGV[5] == '0' then return {0, 0, left, now} end
  if not redis.call('ZSCORE', KEYS[2], me) and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then return {-1, 0, left, now} end
  redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', us), me)
  redis.call('HSET', KEYS[3], me, kind .. '|' .. now)
  redis.call('PEXPIRE', KEYS[2], longest + RETENTION)
  redis.call('PEXPIRE', KEYS[3], longest + RETENTION)
  return {0, 0, left, now}
end
redis.call('ZADD', KEYS[1], now + lease, me)
redis.call('PEXPIRE', KEYS[1], longest + RETENTION)
if head then
  redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[3], me)
end
if kind == 'w' or permits ~= '0' or fence == '0' then fence = string.format('%.0f', math.max(us, fence + 1)) end
if kind == 'w' then writer = me end
save()
local next = kind == 's' and redis.call('ZRANGE', KEYS[2], 0, 0)[1] -- there may be room for it, too
if next and string.sub(redis.call('HGET', KEYS[3], next) or '', 1, 1) == 's' then wake(next) end
return {1, tonumber(fence), 0, now}
