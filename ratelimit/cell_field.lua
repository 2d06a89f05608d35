-- cell_field.lua: cell.lua for a bucket that is a field of the client's key, see together.lua.
-- KEYS[1] hash of the client
-- ARGV[1] "" for the server's clock, or a test clock in microseconds
-- ARGV    token, drain, capacity, need as in cell.lua
-- ARGV[6] the policy's name, ARGV[7] optional: so many requests, as ARGV[6] of cell.lua
-- Reply   as that of cell.lua
-- include clock.lua
local key, token, name = KEYS[1], ARGV[2], ARGV[6]
local D, C, need, wanted = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7]) or 1
local d, ts, t0, u
local v = redis.pcall('HMGET', key, name)
local foreign = v.err
if foreign then
  if not string.find(foreign, 'WRONGTYPE', 1, true) then return v end
elseif v[1] then
  d, ts, t0, u = string.match(v[1], '^g(%d+):(%d+):(%d+):%d+:(%d+)$')
end
-- include bucket_read.lua
-- include bucket_admit.lua
if changed then
  local sets, dels, ttl = {}, {}, 0
  -- include bucket_field.lua
  -- include fields_write.lua
end
if till > 0 then return {retry, debt, till - now, admitted} end
return {retry, debt, 0, admitted}
