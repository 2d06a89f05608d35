-- submit.lua: enter a player's score; the best one counts.
-- KEYS[1] ranks: sorted set of "<place>:<player>" by score
-- KEYS[2] players: hash of player to "<place> <name>"
-- KEYS[3] turns: how often the board was written to; all three in one slot
-- ARGV    player, name, score or "" to change the name only, ms that the board lives after it
-- Reply   {1 if it is the player's best, rank from 1, best score, players}; rank 0 without a score
--
-- A place is 2^53-1 less the turn, in 16 digits, so of equal scores the sorted set has the earlier one above.
local player, name, score = ARGV[1], ARGV[2], ARGV[3]
local entry = redis.call('HGET', KEYS[2], player)
local place = entry and string.sub(entry, 1, 16)
local best = place and redis.call('ZSCORE', KEYS[1], place .. ':' .. player)

local improved = 0
if score ~= '' and (not best or tonumber(score) > tonumber(best)) then
  if best then redis.call('ZREM', KEYS[1], place .. ':' .. player) end
  place = string.format('%016.0f', 9007199254740991 - redis.call('INCR', KEYS[3]))
  redis.call('ZADD', KEYS[1], score, place .. ':' .. player)
  improved, best = 1, score
end
if not best then return {0, 0, 0, redis.call('ZCARD', KEYS[1])} end

if entry ~= place .. ' ' .. name then
  redis.call('HSET', KEYS[2], player, place .. ' ' .. name)
  if improved == 0 then redis.call('INCR', KEYS[3]) end -- the name alone: it is another board all the same
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[4]) end
return {improved, redis.call('ZREVRANK', KEYS[1], place .. ':' .. player) + 1, tonumber(best), redis.call('ZCARD', KEYS[1])}
