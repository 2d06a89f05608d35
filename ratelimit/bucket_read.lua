-- bucket_read.lua: read one bucket. Included in cell.lua and decide.lua, without a function, because a
-- closure for every request costs more than it reads.
-- In   v      reply of GET: "debt:ts:token[:until]", anything else is a full bucket
--      now, token (as text), D (drain), C (capacity)
-- Out  debt   what is owed now
--      till   the end of a block, 0 for none
--      anchor true if the clock stepped back: write the bucket, or it locks out
local debt, till, anchor = 0, 0, false
if type(v) == 'string' then
  local d, ts, t0 = string.match(v, '^(%d+):(%d+):(%d+)$')
  if not d then
    local u
    d, ts, t0, u = string.match(v, '^(%d+):(%d+):(%d+):(%d+)$')
    if d and tonumber(u) > now then till = tonumber(u) end
  end
  if d then
    d, ts = tonumber(d), tonumber(ts)
    if t0 ~= token then -- the limit changed: keep the tokens used
      if tonumber(t0) > 0 then d = math.ceil(d / tonumber(t0) * tonumber(token)) else d = 0 end
    end
    if d > C then d = C end -- never owe more than the present burst
    if now >= ts then
      d = d - (now - ts) * D
    else
      anchor = true
      if till > 0 then till = now + math.max(till - ts, 0) end
    end
    if d > 0 then debt = d end
  end
end
