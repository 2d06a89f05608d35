-- leave_field.lua: release a place that is a field of the client's key, see together.lua.
-- KEYS[1] hash of the client
-- ARGV[1] the place's field, ARGV[2] the field of how many are held
-- Reply   {1} if it was held, {0} if not
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return {0} end
redis.call('HINCRBY', KEYS[1], ARGV[2], -1)
return {1}
