-- begin.lua: note that a request begins, or say what is known of it.
-- KEYS[1] the record, a hash: s state (p begun, u of unknown outcome, d done and kept, x done and not kept, f forgotten), p fingerprint
--         of the payload, f fence and o owner of the last attempt, n attempts of which something may have come, r what is kept
-- ARGV    1 owner  2 fence  3 fingerprint  4 ttl ms  5 begin again what is of unknown outcome (1|0)
-- Reply   {1, attempt} begun | {0, state, fingerprint, kept} a record stands against it | {-1} a later holder of the lock was here
-- Asking twice with one owner begins once.
local h = redis.call('HMGET', KEYS[1], 's', 'p', 'f', 'o', 'n')
local s, n = h[1], tonumber(h[5] or 0)
if s == 'p' and h[4] == ARGV[1] then return {1, n} end
if s == 'd' or s == 'x' then return {0, s, h[2], redis.call('HGET', KEYS[1], 'r') or ''} end
if s and tonumber(h[3]) >= tonumber(ARGV[2]) then return {-1} end
if (s == 'p' or s == 'u') and (h[2] ~= ARGV[3] or ARGV[5] ~= '1') then return {0, s, h[2], ''} end
redis.call('HSET', KEYS[1], 's', 'p', 'p', ARGV[3], 'f', ARGV[2], 'o', ARGV[1], 'n', n + 1)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1, n + 1}
