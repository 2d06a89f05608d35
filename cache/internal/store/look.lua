-- look.lua: before a look-up, begin the purge log again if another master kept it, and take the lease to make a missing response.
-- KEYS[1] purge log  KEYS[2] lease  KEYS[3] mark "not stored", of requests with or without a cookie  KEYS[4] mark "too large"
-- ARGV[1] random incarnation, for a log that begins  ARGV[2] TTL of the log in ms
-- ARGV[3] token of the lease, '' to take none  ARGV[4] TTL of the lease in ms
-- ARGV[5] 1 to see whether the log is this master's, 0 if that was seen a moment ago: INFO costs more than all else here
-- Reply   {lease: 1 taken, 0 not, -1 the server refuses writes; marks: 1 not stored, twice running, + 2 too large;
--          the master's replication ID is 1 known, 0 not, 2 not looked for; ms that KEYS[3] has left}
local known = 2
if ARGV[5] == '1' then
  local info = redis.pcall('INFO', 'replication')
  local master = type(info) == 'string' and string.match(info, 'master_replid:(%w+)') or ''
  if redis.call('HGET', KEYS[1], '_of') ~= master then
    redis.call('HSET', KEYS[1], '_inc', ARGV[1], '_of', master)
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
  known = master ~= '' and 1 or 0
end
local lease, marks = 0, 2 * redis.call('EXISTS', KEYS[4])
if tonumber(redis.call('GET', KEYS[3]) or 0) > 1 then marks = marks + 1 end
if ARGV[3] ~= '' and marks == 0 then
  local got = redis.pcall('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4])
  if type(got) == 'table' and got.err then
    -- A server that takes no writes now still serves what it has; any other error, a missing right for one, ends the script.
    local code = string.match(got.err, '^%-?(%u+)')
    if code ~= 'OOM' and code ~= 'MISCONF' and code ~= 'NOREPLICAS' and code ~= 'READONLY' then return got end
    lease = -1
  elseif redis.call('GET', KEYS[2]) == ARGV[3] then -- also when this is asked a second time
    lease = 1
  end
end
return {lease, marks, known, redis.call('PTTL', KEYS[3])}
