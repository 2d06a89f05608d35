-- index.lua: enter a session into its user's index.
-- KEYS[1] sorted set of token hashes by the deadline of the session in µs, by Redis' clock, KEYS[2] epoch
-- ARGV[1] token hash, ARGV[2] µs until the deadline, so fine that no two are equal, ARGV[3] hash it replaces or "", which stays until
-- that session is gone and is not counted, ARGV[4] most sessions, 0 for any number
-- Reply   {epoch, hashes that are too many …}: they leave the index when they are deleted
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
-- GT: of two requests that set the deadline at once the later end counts, or
-- the index would forget a session that lives.
redis.call('ZADD', KEYS[1], 'GT', now + ARGV[2], ARGV[1])
local reply = {redis.call('GET', KEYS[2]) or '0'}
local most, count = tonumber(ARGV[4]), redis.call('ZCARD', KEYS[1])
local replaced = ARGV[3] ~= '' and redis.call('ZSCORE', KEYS[1], ARGV[3])
if replaced then count = count - 1 end
if most > 0 and count > most then
  for _, hash in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if #reply > count - most then break end
    if hash ~= ARGV[1] and hash ~= ARGV[3] then
      reply[#reply + 1] = hash
    end
  end
end
local top = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], math.ceil(tonumber(top[2]) / 1000))
return reply
