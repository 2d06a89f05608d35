-- vote.lua: one of several masters votes on a lock (Redlock).
-- KEYS[1] the lock, a string as in acquire.lua
-- KEYS[2] until when this node abstains (ms since 1970): one that has lost its data does not know what it granted
-- ARGV    1 owner  2 lease ms  3 for how long a node without data abstains, ms  4 life of KEYS[2], ms
-- Reply   {1, fence, 0, now ms} granted | {0, 0, ms left, now} busy | {-2, 0, ms, now} abstains
-- Asking twice with one owner grants once, with one fence.
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
local boot = tonumber(redis.call('GET', KEYS[2]) or now + ARGV[3])
redis.call('SET', KEYS[2], string.format('%.0f', boot), 'PX', ARGV[4])
if boot > now then return {-2, 0, boot - now, now} end
local v = redis.call('GET', KEYS[1])
if v then
  local o, x, f = string.match(v, '^.([^|]*)|(%d+)|%d+|(%d+)|')
  if o ~= '' and x - now > 0 then
    if o == ARGV[1] then
      redis.call('SET', KEYS[1], 'h' .. o .. '|' .. now + ARGV[2] .. '|' .. ARGV[2] .. '|' .. f .. '|0', 'PX', ARGV[2] + 600000)
      return {1, tonumber(f), 0, now}
    end
    return {0, 0, x - now, now}
  end
  if us <= f + 15 then us = f + 16 end -- the fence grows even when the clock does not
end
local fence = string.format('%.0f', us)
redis.call('SET', KEYS[1], 'h' .. ARGV[1] .. '|' .. now + ARGV[2] .. '|' .. ARGV[2] .. '|' .. fence .. '|0', 'PX', ARGV[2] + 600000)
return {1, us, 0, now}
