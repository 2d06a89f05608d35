-- queue.lua: take the lock, or queue for it.
-- KEYS[1] the lock, see grammar.lua
-- KEYS[2] the queue, a sorted set of waiters by arrival (us)   KEYS[3] when each waiter polled last, a hash (ms)
-- ARGV    1 owner  2 lease ms  3 if busy: 0 do not queue, 1 queue, 2 is queued already  4 longest queue  5 the server's time (ms) as the
--         caller expects it after watching the clock for a lease, 0 if it has not  6 tolerance of that, ms
-- Reply   {1, fence, queue flag, now ms} granted | {0, 0, ms until it may be free, now} busy | {-1, 0, ms, now} busy and the queue is full
-- Two calls by one owner grant once, with one fence.
-- A lock that was not released, because its holder died or the woken waiter did not come, is reserved for the first waiter in the queue
-- that polled recently, whichever caller notices it.
local me, lease, mode = ARGV[1], ARGV[2], ARGV[3]
local value = redis.call('GET', KEYS[1])
local us, now = clock()
local queue = '0'
if value then
  local kind, owner, expiry, length, fence
  kind, owner, expiry, length, fence, queue = parse(value)
  local left = expiry - now
  local held = kind == 'h' or kind == 'g'
  if held then
    if owner == me and left > 0 then -- the reply was lost: the lease counts from now
      hold(me, now, lease, fence, queue)
      return {1, tonumber(fence), tonumber(queue), now}
    end
    local even = math.abs(now - ARGV[5]) <= tonumber(ARGV[6])
    if left > tonumber(length) or left <= 0 and kind == 'h' and owner ~= me and not even then -- the clock may have been set
      left = tonumber(length)
      kind, expiry = 'g', now + length
      redis.call('SET', KEYS[1], format(kind, owner, expiry, length, fence, queue), 'PX', lease + RETENTION)
    end
  elseif kind == 'r' and (owner == me or left > tonumber(length)) then
    left = 0
  end
  if held and left <= 0 and owner ~= me then tell(owner, 'lost') end -- it never released
  while left <= 0 and queue == '1' and not (kind == 'r' and owner == me) do
    local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
    if first == me then break end
    local polled = first and redis.call('HGET', KEYS[3], first)
    if first then
      redis.call('ZREM', KEYS[2], first)
      redis.call('HDEL', KEYS[3], first)
    end
    if redis.call('ZCARD', KEYS[2]) == 0 then queue = '0' end
    if polled and now - polled <= ALIVE then
      left = RESERVATION
      kind, owner, expiry, length = 'r', first, now + left, left
      redis.call('SET', KEYS[1], format(kind, owner, expiry, length, fence, queue), 'PX', lease + RETENTION)
      tell(first, 'go')
    end
  end
  if left > 0 then
    if mode == '0' then return {0, 0, left, now} end
    if not redis.call('ZSCORE', KEYS[2], me) and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return {-1, 0, left, now} end
    redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', us), me)
    redis.call('HSET', KEYS[3], me, now)
    redis.call('PEXPIRE', KEYS[2], lease + RETENTION)
    redis.call('PEXPIRE', KEYS[3], lease + RETENTION)
    if queue ~= '1' then redis.call('SET', KEYS[1], format(kind, owner, expiry, length, fence, '1'), 'KEEPTTL') end
    return {0, 0, left, now}
  end
  us = math.max(us, fence + FENCES)
end
if mode == '2' then
  redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[3], me)
end
hold(me, now, lease, string.format('%.0f', us), queue)
return {1, us, tonumber(queue), now}
