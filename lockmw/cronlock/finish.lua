-- finish.lua: record the end of a run and let the job go.
-- KEYS[1] the job, as in begin.lua
-- ARGV    1 owner  2 retention ms  3 error, "" for none  4 completed (1|0): 0 leaves the tick to be taken over at once
-- Reply   1 recorded | 0 another runs it | -1 its state is gone
local o = redis.call('HGET', KEYS[1], 'o')
if not o then return -1 end
if o ~= ARGV[1] then return 0 end
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], 'o', '', 'x', 0, 'done', now, 'err', ARGV[3])
else
  redis.call('HSET', KEYS[1], 'x', 0, 'err', ARGV[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
