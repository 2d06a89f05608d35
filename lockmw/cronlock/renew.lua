-- renew.lua: extend the lease of a run.
-- KEYS[1] the job, as in begin.lua
-- ARGV    1 owner  2 lease ms  3 retention ms
-- Reply   1 renewed | 0 another runs it | -1 its state is gone
local o = redis.call('HGET', KEYS[1], 'o')
if not o then return -1 end
if o ~= ARGV[1] then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[1], 'x', string.format('%.0f', now + tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[2]) + tonumber(ARGV[3])))
return 1
