-- share_release.lua: release a permit, or leave the queue, and wake the next waiter.
-- KEYS    as in share.lua
-- ARGV    1 owner  2 leave the queue, too (or absent)
-- Reply   {code}: 1 released | 0 that owner has no permit | -1 its state is gone
local me = ARGV[1]
local left = 0
if ARGV[2] then
  left = redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[3], me)
end
local state = redis.call('GET', KEYS[4])
local released = redis.call('ZREM', KEYS[1], me)
if released == 0 and left == 0 then return {state and 0 or -1} end
if state then
  local permits, longest, fence, grace, writer = parse_state(state)
  if writer == me then redis.call('SET', KEYS[4], format_state(permits, longest, fence, grace, ''), 'KEEPTTL') end
end
local next = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if next then
  local _, now = clock()
  redis.call('HSET', KEYS[3], '*', next .. '|' .. now)
  tell(next, 'go')
end
return {1}
