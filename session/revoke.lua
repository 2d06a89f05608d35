-- revoke.lua: mark that a user's sessions are revoked, so that a login under way notices, and say which they are. They leave the
-- index when they are deleted: a deletion that fails can be tried again.
-- KEYS[1] sorted set of token hashes by deadline in µs, KEYS[2] epoch
-- ARGV[1] hash that stays, or "", ARGV[2] life of the epoch in ms, longer than any session
-- Reply   the hashes whose sessions must be deleted
redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local gone = {}
for _, hash in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if hash ~= ARGV[1] then gone[#gone + 1] = hash end
end
return gone
