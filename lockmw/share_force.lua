-- share_force.lua: take a permit from its holder, who is told.
-- KEYS[1] the holders, as in share.lua
-- ARGV    1 the holder
-- Reply   {code}: 1 taken | 0 it has no permit
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return {0} end
tell(ARGV[1], 'lost')
return {1}
