-- bucket_admit.lua: how many requests of one cost a bucket admits. Included in cell.lua and cell_field.lua.
-- In   debt, till, D (drain), C (capacity), need of one request, wanted requests, now
-- Out  admitted of them, retry of the first that is not, debt with them, changed if it must be written
local retry, admitted = 0, wanted
if need > 0 then
  if need > C then
    retry, admitted = -1, 0
  else
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
local changed = admitted > 0 and need ~= 0 or anchor
