-- block_hold.lua: hold a block against one policy, and note the first policy that refuses. Included in decide.lua and together.lua.
-- In   s (until_, retry), kind, cost, mode, now, i
-- Out  s.until_ is 0 for a block that is over; block, keeper and denied for all policies
keeper = keeper or kind ~= 'c'
if s.until_ > now then
  block = math.max(block, s.until_)
  if mode == 'charge' and kind ~= 'c' and cost > 0 and s.retry >= 0 then s.retry = math.max(s.retry, s.until_ - now) end
else
  s.until_ = 0
end
if s.retry ~= 0 and denied == 0 then denied = i end
