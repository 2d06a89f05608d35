-- renew.lua: extend the lease.
-- KEYS[1] the lock, see grammar.lua
-- ARGV    1 owner  2 lease ms
-- Reply   {1, now ms, queue flag} renewed | {0} another owner holds it | {-1} its state is gone (flush, failover); it is never recreated
local value = redis.call('GET', KEYS[1])
if not value then return {-1} end
local kind, owner, _, _, fence, queue = parse(value)
if owner ~= ARGV[1] or kind == 'r' then return {0} end
local _, now = clock()
hold(owner, now, ARGV[2], fence, queue)
return {1, now, tonumber(queue)}
