-- release.lua: release the lock, or leave its queue, and wake the next waiter.
-- KEYS    the lock, its queue and its polls, as in queue.lua
-- ARGV    1 owner  2 leave the queue, too (or absent)
-- Reply   {code}: 1 released | 0 another owner holds it | -1 its state is gone
local me, value = ARGV[1], redis.call('GET', KEYS[1])
if ARGV[2] then
  redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[3], me)
end
if not value then return {-1} end
local _, owner, _, _, fence, queue = parse(value)
if owner ~= me then return {0} end
local kind, heir, expiry, length = 'f', '', '0', '0'
if queue == '1' then
  local _, now = clock()
  queue = '0'
  while true do
    local waiter = redis.call('ZPOPMIN', KEYS[2])[1]
    if not waiter then break end
    local polled = redis.call('HGET', KEYS[3], waiter)
    redis.call('HDEL', KEYS[3], waiter)
    if polled and now - polled <= ALIVE then
      kind, heir, expiry, length = 'r', waiter, now + RESERVATION, RESERVATION
      queue = redis.call('ZCARD', KEYS[2]) > 0 and '1' or '0'
      tell(waiter, 'go')
      break
    end
  end
end
redis.call('SET', KEYS[1], format(kind, heir, expiry, length, fence, queue), 'PX', RETENTION)
return {1}
