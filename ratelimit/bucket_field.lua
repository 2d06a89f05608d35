-- bucket_field.lua: write a bucket that is a field. Included in cell_field.lua and together.lua.
-- In   name, debt, till (0 for no block), now, stamp (now as text), token (as text), D (drain)
--      sets, dels, ttl of fields_write.lua
if debt == 0 and till == 0 then
  dels[#dels + 1] = name
else
  -- A number in a concatenation has 14 digits; as an argument of a call it has 17.
  local value = 'g' .. (debt < 1e14 and debt or string.format('%.0f', debt)) .. ':' .. stamp .. ':' .. token .. ':' .. (D < 1e14 and D or string.format('%.0f', D))
  local lasts = math.max(math.ceil(debt / D / 1000), 1000)
  if till > 0 then
    value = value .. ':' .. string.format('%.0f', till)
    lasts = math.max(lasts, math.ceil((till - now) / 1000))
  else
    value = value .. ':0'
  end
  sets[#sets + 1], sets[#sets + 2] = name, value
  if lasts > ttl then ttl = lasts end
end
