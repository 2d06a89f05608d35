-- say.lua: say something in a room, once.
-- KEYS[1] the room's stream, KEYS[2] string that remembers this message; in one slot
-- ARGV    room, number and name of the author, text, milliseconds of the last id that the caller has read,
--         most entries, ms that the stream lives after it, ms that KEYS[2] does, channel of the bell
-- Reply   {id of the message, 1 if it had been said before}
local said = redis.call('GET', KEYS[2])
if said then return {said, 1} end

-- Ids only grow, for clients go on after the last that they have seen: also where a new master's clock is behind the old
-- one's, and the last entries were lost on the way to it.
local t, seen, top, id = redis.call('TIME'), tonumber(ARGV[5]), 0, '*'
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last then top = tonumber(string.match(last[1], '^%d+')) end
if t[1] * 1000 + math.floor(t[2] / 1000) <= seen and top <= seen then id = string.format('%.0f-0', seen + 1) end

id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[6], id, 'from', ARGV[2], 'name', ARGV[3], 'text', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('SET', KEYS[2], id, 'PX', ARGV[8])
redis.call('PUBLISH', ARGV[9], ARGV[1])
return {id, 0}
