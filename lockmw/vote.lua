-- vote.lua: one of several masters votes on a lock (Redlock).
-- KEYS[1] the lock, a hash as in acquire.lua
-- KEYS[2] until when this node abstains (ms since 1970): one that has lost its data does not know what it granted
-- ARGV    1 owner  2 lease ms  3 retention ms  4 for how long a node without data abstains, ms  5 life of KEYS[2], ms
-- Reply   {1, fence, lease ms} granted | {0, 0, ms left} busy | {-2, 0, ms} abstains
-- Asking twice with one owner grants once, with one fence. fence.lua reserves 15 more, for holders of the same process.
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
local boot = tonumber(redis.call('GET', KEYS[2]) or now + tonumber(ARGV[4]))
redis.call('SET', KEYS[2], string.format('%.0f', boot), 'PX', ARGV[5])
if boot > now then return {-2, '0', boot - now} end
local h = redis.call('HMGET', KEYS[1], 'o', 'x', 'f')
local o, x, f = h[1] or '', tonumber(h[2] or 0), tonumber(h[3] or 0)
if o == ARGV[1] and x > now then return {1, string.format('%.0f', f), x - now} end
if o ~= '' and x > now then return {0, '0', x - now} end
if us <= f then us = f + 1 end -- the fence grows even when the clock does not
local lease = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'o', ARGV[1], 'i', '', 'x', string.format('%.0f', now + lease), 'f', string.format('%.0f', us))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', lease + tonumber(ARGV[3])))
return {1, string.format('%.0f', us), lease}
