-- fence.lua: write the agreed fence of a lock to one of several masters, so that the next majority knows it.
-- KEYS[1] the lock, see grammar.lua
-- ARGV    1 owner  2 fence
-- Reply   {code}: 1 it has the fence, or a greater one | 0 that owner does not hold it
local value = redis.call('GET', KEYS[1])
if not value then return {0} end
local _, owner, expiry, lease, fence = parse(value)
if owner ~= ARGV[1] then return {0} end
if tonumber(fence) < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], format('h', owner, expiry, lease, ARGV[2], '0'), 'PX', lease + RETENTION)
end
return {1}
