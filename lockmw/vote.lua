-- vote.lua: one of several masters votes on a lock (Redlock).
-- KEYS[1] the lock, see grammar.lua
-- KEYS[2] until when this node abstains (ms since 1970): a node that lost its data does not know what it granted
-- ARGV    1 owner  2 lease ms  3 for how long a node without data abstains, ms  4 life of KEYS[2], ms
-- Reply   {1, fence, 0, now ms} granted | {0, 0, ms left, now} busy | {-2, 0, ms, now} abstains
-- Two calls by one owner grant once, with one fence.
local us, now = clock()
local boot = tonumber(redis.call('GET', KEYS[2]) or now + ARGV[3])
redis.call('SET', KEYS[2], string.format('%.0f', boot), 'PX', ARGV[4])
if boot > now then return {-2, 0, boot - now, now} end
local value = redis.call('GET', KEYS[1])
if value then
  local _, owner, expiry, _, fence = parse(value)
  if owner ~= '' and expiry - now > 0 then
    if owner ~= ARGV[1] then return {0, 0, expiry - now, now} end
    hold(owner, now, ARGV[2], fence, '0')
    return {1, tonumber(fence), 0, now}
  end
  us = math.max(us, fence + FENCES) -- the fence grows even when the clock does not
end
hold(ARGV[1], now, ARGV[2], string.format('%.0f', us), '0')
return {1, us, 0, now}
