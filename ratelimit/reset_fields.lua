-- reset_fields.lua: delete policies from the client's key, see together.lua.
-- KEYS[1] hash of the client
-- ARGV    their names
-- Reply   {1}
local all = redis.pcall('HGETALL', KEYS[1])
if all.err then
  if not string.find(all.err, 'WRONGTYPE', 1, true) then return all end
  redis.call('DEL', KEYS[1])
  return {1}
end
for f = 1, #all, 2 do
  local name = string.match(all[f], '^[^|]*')
  for _, wanted in ipairs(ARGV) do
    if name == wanted then redis.call('HDEL', KEYS[1], all[f]) end
  end
end
return {1}
