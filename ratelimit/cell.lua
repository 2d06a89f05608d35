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
local stamp = ARGV[1]
if stamp == '' then
  local t = redis.call('TIME')
  stamp = t[2]
  if #stamp < 6 then stamp = string.sub('00000' .. stamp, -6) end
  stamp = t[1] .. stamp
end
local now, D, C, need = tonumber(stamp), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local debt, till, anchor = 0, 0, false
local v = redis.pcall('GET', KEYS[1])
if v and v.err then
  if not string.find(v.err, 'WRONGTYPE', 1, true) then return v end
elseif v then
  local d, ts, t0 = string.match(v, '^(%d+):(%d+):(%d+)$')
  if not d then
    local u
    d, ts, t0, u = string.match(v, '^(%d+):(%d+):(%d+):(%d+)$')
    if d and tonumber(u) > now then till = tonumber(u) end
  end
  if d then
    d, ts = tonumber(d), tonumber(ts)
    if t0 ~= ARGV[2] then -- the limit changed: keep the tokens used
      if tonumber(t0) > 0 then d = math.ceil(d / tonumber(t0) * tonumber(ARGV[2])) else d = 0 end
    end
    if d > C then d = C end -- never owe more than the present burst
    if now >= ts then
      d = d - (now - ts) * D
    else -- the clock stepped back: no lock-out
      anchor = true
      if till > 0 then till = now + math.max(till - ts, 0) end
    end
    if d > 0 then debt = d end
  end
end
local retry, admitted = 0, tonumber(ARGV[6]) or 1
if need > 0 then
  if need > C then
    retry, admitted = -1, 0
  else
    local asked = admitted
    if till > 0 then admitted = 0 elseif debt + admitted * need > C then admitted = math.max(math.floor((C - debt) / need), 0) end
    if admitted < asked then
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
  if debt == 0 and till == 0 then
    redis.call('DEL', KEYS[1])
  else
    -- A number in a concatenation has 14 digits; as an argument of a call it has 17.
    local value = (debt < 1e14 and debt or string.format('%.0f', debt)) .. ':' .. stamp .. ':' .. ARGV[2]
    local ttl = math.max(math.ceil(debt / D / 1000), 1000) -- keys that come and go within a second cost more than they free
    if till > 0 then
      value = value .. ':' .. string.format('%.0f', till)
      ttl = math.max(ttl, math.ceil((till - now) / 1000))
    end
    redis.call('SET', KEYS[1], value, 'PX', ttl)
  end
end
if till > 0 then return {retry, debt, till - now, admitted} end
return {retry, debt, 0, admitted}
