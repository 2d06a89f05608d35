-- force.lua: take a lock away from its holder, who is told.
-- KEYS[1] the lock, as in acquire.lua
-- ARGV    1 owner that it is taken from
-- Reply   {code}: 1 taken away | 0 somebody else holds it, or nobody
local k, o, rest = string.match(redis.call('GET', KEYS[1]) or '', '^([hg])([^|]*)|%d+|%d+|(.*)')
if o ~= ARGV[1] then return {0} end
redis.call('SET', KEYS[1], 'f|0|0|' .. rest, 'KEEPTTL')
redis.pcall('PUBLISH', string.match(KEYS[1], '^(.*){') .. 'wake:' .. string.match(o, '^[^:]*'), 'lost|' .. o)
return {1}
