-- bucket_read.lua: what a bucket owes now. Included in cell.lua, cell_field.lua, decide.lua and together.lua, without a
-- function, because a closure for every request costs more than it reads.
-- In   d, ts, t0, u as text: debt, when it was written, token then, end of a block; d is nil for a full bucket
--      now, token (as text), D (drain), C (capacity)
-- Out  debt   what is owed now
--      till   the end of a block, 0 for none
--      anchor true if the clock stepped back: write the bucket, or it locks out
local debt, till, anchor = 0, 0, false
if d then
  if u and tonumber(u) > now then till = tonumber(u) end
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
