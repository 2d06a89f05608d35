-- rows.lua: the top of the board, or the part of it around a player.
-- KEYS    as in submit.lua
-- ARGV    player or "" for the top; how many rows, or how many above and below the player
-- Reply   {turns, players, rank of the first row, then player, name and score for each row}; no rows for a player without a score
local player, n = ARGV[1], tonumber(ARGV[2])
local turns, total = tonumber(redis.call('GET', KEYS[3]) or 0), redis.call('ZCARD', KEYS[1])
local first, last = 0, n - 1
if player ~= '' then
  local entry = redis.call('HGET', KEYS[2], player)
  local rank = entry and redis.call('ZREVRANK', KEYS[1], string.sub(entry, 1, 16) .. ':' .. player)
  if not rank then return {turns, total, 0} end
  first = math.max(0, math.min(rank - n, total - (2 * n + 1))) -- as many rows at the ends as in the middle
  last = first + 2 * n
end
local reply = {turns, total, first + 1}
local rows = redis.call('ZREVRANGE', KEYS[1], first, last, 'WITHSCORES')
for i = 1, #rows, 2 do
  local id = string.sub(rows[i], 18)
  reply[#reply + 1] = id
  reply[#reply + 1] = string.sub(redis.call('HGET', KEYS[2], id) or '', 18)
  reply[#reply + 1] = tonumber(rows[i + 1])
end
return reply
