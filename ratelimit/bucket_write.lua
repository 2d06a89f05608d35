-- bucket_write.lua: write a bucket that has a key of its own. Included in cell.lua and decide.lua.
-- In   key, debt, till (0 for no block), now, stamp (now as text), token (as text), D (drain)
if debt == 0 and till == 0 then
  redis.call('DEL', key)
else
  -- A number in a concatenation has 14 digits; as an argument of a call it has 17.
  local value = (debt < 1e14 and debt or string.format('%.0f', debt)) .. ':' .. stamp .. ':' .. token
  local ttl = math.max(math.ceil(debt / D / 1000), 1000) -- keys that come and go within a second cost more than they free
  if till > 0 then
    value = value .. ':' .. string.format('%.0f', till)
    ttl = math.max(ttl, math.ceil((till - now) / 1000))
  end
  redis.call('SET', key, value, 'PX', ttl)
end
