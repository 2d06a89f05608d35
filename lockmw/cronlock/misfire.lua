-- misfire.lua: note that a scheduler called the job and no tick was run, for Status.
-- KEYS[1] the job, as in begin.lua: sets miss (ms, server clock) and why
-- ARGV    1 retention ms  2 reason
-- Reply   1
local t = redis.call('TIME')
redis.call('HSET', KEYS[1], 'miss', string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)), 'why', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
