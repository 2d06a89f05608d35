-- block_places.lua: hold the longest block against places. Included in decide.lua and together.lua.
-- In   state of n policies, block, mode, now
-- Out  denied, and retry of the place that is refused
for i = 1, n do -- a place is refused by any block, also to a request that costs nothing
  local s = state[i]
  if block > now and denied == 0 and s.kind == 'c' and mode == 'charge' and s.id ~= '' then s.retry, denied = block - now, i end
end
