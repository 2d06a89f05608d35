-- share_renew.lua: extend the lease of a permit.
-- KEYS[1] the holders, KEYS[2] the state: those with number 1 and 4 in share.lua
-- ARGV    1 owner  2 lease ms
-- Reply   {code}: 1 renewed | 0 other owners hold it | -1 its state is gone
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {redis.call('EXISTS', KEYS[2]) - 1} end
local _, now = clock()
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2] + RETENTION) end
return {1}
