-- free.lua: release a lock that has no waiters, as most have none. release.lua decides all other cases.
-- KEYS[1] the lock, see grammar.lua
-- ARGV    1 owner
-- Reply   {code}: 1 released | 0 another owner holds it | -1 its state is gone | 2 there may be waiters: ask release.lua
local value = redis.call('GET', KEYS[1])
if not value then return {-1} end
local _, owner, _, _, fence, queue = parse(value)
if owner ~= ARGV[1] then return {0} end
if queue == '1' then return {2} end
redis.call('SET', KEYS[1], format('f', '', '0', '0', fence, '0'), 'PX', RETENTION)
return {1}
