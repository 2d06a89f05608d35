-- revoke.lua: empty a user's index, and mark that it was, so that a login under
-- way notices.
-- KEYS[1] sorted set of token hashes by deadline in µs, KEYS[2] epoch
-- ARGV[1] hash that stays, or "", ARGV[2] life of the epoch in ms, longer than any session
-- Reply   the hashes whose sessions must be deleted
redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local gone = {}
for _, hash in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if hash ~= ARGV[1] then gone[#gone + 1] = hash end
end
if ARGV[1] ~= '' and redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
  redis.call('DEL', KEYS[1])
  redis.call('ZADD', KEYS[1], score, ARGV[1])
  redis.call('PEXPIREAT', KEYS[1], math.ceil(tonumber(score) / 1000))
else
  redis.call('DEL', KEYS[1])
end
return gone
