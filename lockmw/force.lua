-- force.lua: take a lock from its holder, who is told.
-- KEYS[1] the lock, see grammar.lua
-- ARGV    1 the holder
-- Reply   {code}: 1 taken | 0 that owner does not hold it
local value = redis.call('GET', KEYS[1])
if not value then return {0} end
local kind, owner, _, _, fence, queue = parse(value)
if owner ~= ARGV[1] or kind ~= 'h' and kind ~= 'g' then return {0} end
redis.call('SET', KEYS[1], format('f', '', '0', '0', fence, queue), 'KEEPTTL')
tell(owner, 'lost')
return {1}
