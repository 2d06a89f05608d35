-- gcra.lua: decide all policies of one request, all or nothing, in integers.
-- KEYS    one per policy, in one slot: "debt:ts:token", or absent = full bucket
-- ARGV[1] "" for the server's clock, or a test clock in microseconds
-- ARGV    then for each key: token, drain, burst, cost (token/drain = period_us/rate in lowest terms)
-- Reply   {denied, then for each key: remaining, retry_us, reset_us, next_us}
--         denied is the first policy that refuses, 0 if none; retry_us is -1 when cost > burst
-- Every number stays below 2^53 and is therefore exact in a Lua double.
local now
if ARGV[1] == '' then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
else
  now = tonumber(ARGV[1])
end
local n, out, state, denied = #KEYS, {}, {}, 0
for i = 1, n do
  local b = 2 + (i - 1) * 4
  local T, D, B, cost = tonumber(ARGV[b]), tonumber(ARGV[b + 1]), tonumber(ARGV[b + 2]), tonumber(ARGV[b + 3])
  local C, debt, anchor = B * T, 0, false
  local v = redis.pcall('GET', KEYS[i])
  if type(v) == 'string' then
    local d, ts, t0 = string.match(v, '^(%d+):(%d+):(%d+)$')
    if d and tonumber(t0) > 0 then
      d, ts, t0 = tonumber(d), tonumber(ts), tonumber(t0)
      if t0 ~= T then d = math.ceil(d / t0 * T) end -- the limit changed: keep the tokens used
      if d > C then d = C end -- never owe more than the present burst
      if now >= ts then d = d - (now - ts) * D else anchor = true end -- the clock stepped back: no lock-out
      if d > 0 then debt = d end
    end
  end
  local need, retry = cost * T, 0
  if need > 0 and debt + need > C then
    if need > C then retry = -1 else retry = math.ceil((debt + need - C) / D) end
    if denied == 0 then denied = i end
  end
  state[i] = {T, D, C, debt, need, retry, anchor}
end
for i = 1, n do
  local T, D, C, debt, need, retry, anchor = unpack(state[i])
  if denied == 0 then debt = debt + need else need = 0 end
  if need ~= 0 or anchor then
    if debt <= 0 then
      debt = 0
      redis.call('DEL', KEYS[i])
    else
      redis.call('SET', KEYS[i], string.format('%.0f:%.0f:%.0f', debt, now, T), 'PX', string.format('%.0f', math.ceil(debt / D / 1000)))
    end
  end
  local remaining, nxt = math.floor((C - debt) / T), 0
  if debt > 0 then nxt = math.ceil((debt - (C - (remaining + 1) * T)) / D) end
  out[#out + 1] = remaining
  out[#out + 1] = retry
  out[#out + 1] = math.ceil(debt / D)
  out[#out + 1] = nxt
end
return {denied, unpack(out)}
