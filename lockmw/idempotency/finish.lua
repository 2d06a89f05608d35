-- finish.lua: record how an attempt ended.
-- KEYS[1] the record, as in begin.lua
-- ARGV    1 owner  2 fence  3 fingerprint  4 ttl ms  5 d done and kept, x done and not kept, f forgotten  6 what is kept  7 ms to remember that it is forgotten
-- Reply   1 recorded | 0 another attempt began since
-- A record that Redis lost is made again. What was forgotten keeps its fence for a while, so that a begin that is late on its way finds it.
local h = redis.call('HMGET', KEYS[1], 's', 'f', 'o', 'n')
local s, n, to, ttl = h[1], tonumber(h[4] or 0), ARGV[5], ARGV[4]
if s and h[3] ~= ARGV[1] then
  if to == 'f' and tonumber(h[2]) < tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], 'f', ARGV[2]) end
  return 0
end
if s and s ~= 'p' then return 1 end -- the reply was lost
if to == 'f' then
  n = math.max(n - 1, 0)
  if n > 0 then to = 'u' else ttl = ARGV[7] end -- an attempt before may have done something
end
redis.call('HSET', KEYS[1], 's', to, 'p', ARGV[3], 'f', ARGV[2], 'o', ARGV[1], 'n', n)
if to == 'd' then redis.call('HSET', KEYS[1], 'r', ARGV[6]) end
redis.call('PEXPIRE', KEYS[1], ttl)
return 1
