-- cell.lua: decide.lua for the usual request: one bucket and nothing else. It
-- runs for every request, so it avoids what is slow in Redis' Lua: formatting
-- numbers, and converting more of them than it must.
-- KEYS[1] string "debt:ts:token[:until]", absent = full bucket
-- ARGV[1] "" for the server's clock, or a test clock in microseconds
-- ARGV    token, drain (token/drain = period_us/rate in lowest terms), capacity = burst*token, need = cost*token
-- ARGV[6] optional: so many requests of this cost, of which as many are admitted as fit
-- A key of another type is an empty one; any other error ends the script, see decide.lua.
-- Reply   {retry_us, debt, blocked_us, admitted}; retry_us is that of the first request that is not
--         admitted, 0 if all are, -1 when need > capacity
-- include clock.lua
local key, token = KEYS[1], ARGV[2]
local D, C, need, wanted = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]) or 1
local v = redis.pcall('GET', key)
if v and v.err and not string.find(v.err, 'WRONGTYPE', 1, true) then return v end
-- include bucket_parse.lua
-- include bucket_read.lua
-- include bucket_admit.lua
if changed then
  -- include bucket_write.lua
end
if till > 0 then return {retry, debt, till - now, admitted} end
return {retry, debt, 0, admitted}
