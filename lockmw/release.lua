-- release.lua: let the lock go, or leave its queue, and wake the next waiter.
-- KEYS[1] the lock, KEYS[2] its queue, as in acquire.lua
-- ARGV    1 owner  2 retention ms  3 reservation ms  4 a waiter that has not polled for so many ms is dead  5 leaving the queue (1|0)
-- Reply   1 released or passed on | 0 not ours | -1 its state is gone
local h = redis.call('HMGET', KEYS[1], 'o', 'r')
local me = ARGV[1]
if ARGV[5] == '1' then
  redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[1], 'w:' .. me)
end
if not h[1] then return -1 end
if h[1] == me then
  redis.call('HSET', KEYS[1], 'o', '', 'x', 0, 'i', '')
elseif not (h[2] == me and h[1] == '') then
  return 0
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if h[2] then redis.call('HDEL', KEYS[1], 'r', 'rx') end
while true do
  local w = redis.call('ZPOPMIN', KEYS[2])
  if not w[1] then break end
  local s = redis.call('HGET', KEYS[1], 'w:' .. w[1])
  redis.call('HDEL', KEYS[1], 'w:' .. w[1])
  if s then
    local i = string.find(s, '|', 1, true)
    if now - tonumber(string.sub(s, i + 1)) <= tonumber(ARGV[4]) then -- alive: its turn is reserved while it comes
      redis.call('HSET', KEYS[1], 'r', w[1], 'rx', string.format('%.0f', now + tonumber(ARGV[3])))
      redis.call('PUBLISH', string.sub(s, 1, i - 1), 'go|' .. w[1])
      break
    end
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
