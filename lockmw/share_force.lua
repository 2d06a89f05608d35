-- share_force.lua: take a permit away from its holder, who is told.
-- KEYS    as in share.lua
-- ARGV    1 owner that it is taken from
-- Reply   {code}: 1 taken away | 0 it had none
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return {0} end
redis.pcall('PUBLISH', string.match(KEYS[1], '^(.*){') .. 'wake:' .. string.match(ARGV[1], '^[^:]*'), 'lost|' .. ARGV[1])
return {1}
