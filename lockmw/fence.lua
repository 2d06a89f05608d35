-- fence.lua: write the agreed fence of a lock to one of several masters, so that the next majority knows it.
-- KEYS[1] the lock, as in acquire.lua
-- ARGV    1 owner  2 fence, the first of 16
-- Reply   {code}: 1 it has the fence, or a greater one | 0 somebody else's
local v = redis.call('GET', KEYS[1])
local o, x, l, f = string.match(v or '|0|0|0|', '^.?([^|]*)|(%d+)|(%d+)|(%d+)|')
if o ~= ARGV[1] then return {0} end
if tonumber(f) < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], 'h' .. o .. '|' .. x .. '|' .. l .. '|' .. ARGV[2] .. '|0', 'PX', l + 600000)
end
return {1}
