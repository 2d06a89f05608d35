-- preview.lua: the beginning of each of some elements, so that large ones stay where they are. It writes nothing.
-- KEYS[1] a hash, set, list, zset or stream
-- ARGV    1 which of them  2 where to begin: a cursor, an index, or an id of a stream  3 how many  4 bytes of each text at most
-- Reply   {where it goes on, "" at the end; then for each text its length and its beginning}: two texts for each element of a hash
--         (field, value) and zset (member, score), one for those of a set and list; for an entry of a stream how many follow, and its id and fields
local kind, from, n, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local out, key = {''}, KEYS[1]
local function put(text)
  out[#out + 1] = #text
  out[#out + 1] = string.sub(text, 1, most)
end
if kind == 'hash' or kind == 'set' then
  local r = redis.call(kind == 'hash' and 'HSCAN' or 'SSCAN', key, from, 'COUNT', n)
  if r[1] ~= '0' then out[1] = r[1] end
  for _, text in ipairs(r[2]) do put(text) end
elseif kind == 'list' or kind == 'zset' then
  local first = tonumber(from)
  local r
  if kind == 'list' then r = redis.call('LRANGE', key, first, first + n - 1)
  else r = redis.call('ZRANGE', key, first, first + n - 1, 'WITHSCORES') end
  for _, text in ipairs(r) do put(text) end
  local total = redis.call(kind == 'list' and 'LLEN' or 'ZCARD', key)
  if total > first + n then out[1] = string.format('%.0f', first + n) end
else
  local r = redis.call('XRANGE', key, from, '+', 'COUNT', n)
  for _, e in ipairs(r) do
    local fields = math.min(#e[2], 64)
    out[#out + 1] = fields + 1
    put(e[1])
    for f = 1, fields do put(e[2][f]) end
  end
  if #r == n then out[1] = '(' .. r[n][1] end
end
return out
