-- share_renew.lua: extend the lease of a permit.
-- KEYS[1] the holders, KEYS[4] the state, as in share.lua
-- ARGV    1 owner  2 lease ms
-- Reply   {code}: 1 renewed | 0 other owners hold it | -1 its state is gone
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {redis.call('EXISTS', KEYS[4]) - 1} end
local _, now = clock()
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
for i = 1, #KEYS, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[2] + RETENTION) end
return {1}
