-- purge.lua: note in the purge log of a bucket that things were purged now.
-- KEYS[1] the log, a hash: _inc (incarnation), _of (replication ID of the master that began it), _seq (number of the last purge), _floor,
--         and for each thing the number of its last purge: u:<hash> a URL, t:<hash> a tag, su:<hash> and st:<hash> the same, softly
-- ARGV[1] random incarnation, used if the log is new or of another master
-- ARGV[2] TTL of the log in ms, longer than any entry lives
-- ARGV[3] number of fields above which the log begins again: everything is purged, which is safe
-- ARGV[4..] fields to purge; none purges everything
-- Reply   {the number of this purge}
local info = redis.pcall('INFO', 'replication')
local master = type(info) == 'string' and string.match(info, 'master_replid:(%w+)') or ''
if redis.call('HGET', KEYS[1], '_of') ~= master then
  redis.call('HSET', KEYS[1], '_inc', ARGV[1], '_of', master)
end
local seq = redis.call('HINCRBY', KEYS[1], '_seq', 1)
for i = 4, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], seq) end
if #ARGV < 4 or redis.call('HLEN', KEYS[1]) > tonumber(ARGV[3]) then
  local inc = redis.call('HGET', KEYS[1], '_inc')
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], '_inc', inc, '_of', master, '_seq', seq, '_floor', seq)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {seq}
