-- renew.lua: extend the lease.
-- KEYS[1] the lock, as in acquire.lua
-- ARGV    1 owner  2 lease ms
-- Reply   {code}: 1 renewed | 0 somebody else holds it | -1 its state is gone (flush, failover): never made again
local v = redis.call('GET', KEYS[1])
if not v then return {-1} end
local k, o, rest = string.match(v, '^(.)([^|]*)|%d+|%d+|(.*)')
if o ~= ARGV[1] or k == 'r' then return {0} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('SET', KEYS[1], 'h' .. o .. '|' .. now + ARGV[2] .. '|' .. ARGV[2] .. '|' .. rest, 'PX', ARGV[2] + 600000)
return {1}
