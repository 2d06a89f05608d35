-- release.lua: end a lease, and count in a mark that something was seen once more.
-- KEYS[1] lease  KEYS[2] mark, if there is one
-- ARGV[1] token of the lease, '' for none  ARGV[2] ms that the lease stays taken, 0 to end it now  ARGV[3] ms of the mark
-- Reply   {1 if the lease was ours or 0; how often it was seen}
local seen, ours = 0, 0
if KEYS[2] then
  seen = redis.call('INCR', KEYS[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) == ARGV[1] then
  ours = ARGV[2] == '0' and redis.call('DEL', KEYS[1]) or redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {ours, seen}
