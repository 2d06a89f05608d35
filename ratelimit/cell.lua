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
local key, token, stamp = KEYS[1], ARGV[2], ARGV[1]
if stamp == '' then
  local t = redis.call('TIME')
  stamp = t[2]
  if #stamp < 6 then stamp = string.sub('00000' .. stamp, -6) end
  stamp = t[1] .. stamp
end
local now, D, C, need = tonumber(stamp), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local v = redis.pcall('GET', key)
if v and v.err and not string.find(v.err, 'WRONGTYPE', 1, true) then return v end
-- include bucket_read.lua
local retry, admitted = 0, tonumber(ARGV[6]) or 1
if need > 0 then
  if need > C then
    retry, admitted = -1, 0
  else
    local wanted = admitted
    if till > 0 then admitted = 0 elseif debt + admitted * need > C then admitted = math.max(math.floor((C - debt) / need), 0) end
    if admitted < wanted then
      retry = math.max(math.ceil((debt + (admitted + 1) * need - C) / D), 0)
      if till > 0 and till - now > retry then retry = till - now end
    end
  end
end
if admitted > 0 then
  debt = debt + admitted * need
  if debt < 0 then debt = 0 end
end
if admitted > 0 and need ~= 0 or anchor then
  -- include bucket_write.lua
end
if till > 0 then return {retry, debt, till - now, admitted} end
return {retry, debt, 0, admitted}
