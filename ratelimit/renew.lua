-- renew.lua: prolong a place of a concurrency policy, if it is still held.
-- KEYS[1] sorted set of ids by the time their lease ends
-- ARGV[1] "" for the server's clock, or a test clock in microseconds
-- ARGV[2] length of the lease in microseconds, ARGV[3] the id
-- Reply   {1} if it was held, {0} if not
local now
if ARGV[1] == '' then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
else
  now = tonumber(ARGV[1])
end
if not redis.call('ZSCORE', KEYS[1], ARGV[3]) then return {0} end
local u = tonumber(redis.call('ZSCORE', KEYS[1], 'until') or 0) -- of a block, see decide.lua
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[3])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(math.max(tonumber(ARGV[2]), u - now) / 1000) + 1000))
return {1}
