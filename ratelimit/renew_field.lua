-- renew_field.lua: renew.lua for a place that is a field of the client's key, see together.lua.
-- KEYS[1] hash of the client
-- ARGV[1] "" for the server's clock, or a test clock in microseconds
-- ARGV[2] length of the lease in microseconds, ARGV[3] the id, ARGV[4] the policy's name
-- Reply   {1} if it was held, {0} if not
-- include clock.lua
local key, name, foreign = KEYS[1], ARGV[4], false
local field = name .. '|' .. ARGV[3]
local v = redis.call('HMGET', key, field, name)
local first, seen, till = string.match(v[2] or '', '^c(%d+):(%d+):(%d+)$')
if not v[1] or not first then return {0} end
local lease = tonumber(ARGV[2])
local ends = string.format('%.0f', now + lease)
if now > tonumber(seen) then seen = stamp end
if now + lease < tonumber(first) then first = ends end -- the clock stepped back
local sets = {field, ends, name, 'c' .. first .. ':' .. seen .. ':' .. till}
local dels, ttl = {}, math.ceil(math.max(lease, tonumber(till) - now) / 1000) + 1000
-- include fields_write.lua
return {1}
