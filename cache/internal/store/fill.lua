-- fill.lua: store an entry, note its variant in the index of its URL, and delete the variants above the bound that were stored first.
-- KEYS[1] entry  KEYS[2] index of the URL, a hash: <hash>:<variant> -> <order>:<id>:<number of pieces>, and _n, the last order
-- KEYS[3] names of selecting headers  KEYS[4] purge log  KEYS[5] lease  KEYS[6], KEYS[7] marks "not stored"  KEYS[8] mark "too large"
-- KEYS[9] the same entry for those who like its language best, or KEYS[1] again
-- ARGV[1] value  ARGV[2] its TTL in ms  ARGV[3] TTL of log and names in ms  ARGV[4] token of the lease  ARGV[5] most variants of the URL
-- ARGV[6] <hash>:<variant>  ARGV[7] <id>:<number of pieces>  ARGV[8] of KEYS[9] what ARGV[6] is of KEYS[1], '' for none
-- ARGV[9] what the keys of the bucket begin with: those of deleted variants and pieces are made from it, in the slot of KEYS
-- ARGV[10] ms that pieces outlive their entry, for those who read  ARGV[11..] names
-- Reply   {number of variants that were deleted}, or {-1}: a piece is gone and nothing was stored
local index, grace, keep = KEYS[2], tonumber(ARGV[10]), tonumber(ARGV[2])
local function pieces(of, fn)
  local id, n = string.match(of, '([^:]*):(%d+)$')
  for i = 0, tonumber(n) - 1 do
    if not fn(ARGV[9] .. 'c:' .. id .. ':' .. i) then return false end
  end
  return true
end
local function expire(ms) return function(key) return redis.call('PEXPIRE', key, ms) == 1 end end
if not pieces(ARGV[7], expire(keep + grace)) then return {-1} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', keep)
if ARGV[8] ~= '' then redis.call('SET', KEYS[9], ARGV[1], 'PX', keep) end
if #ARGV > 10 then
  redis.call('SADD', KEYS[3], unpack(ARGV, 11))
  redis.call('PEXPIRE', KEYS[3], ARGV[3])
end
redis.call('PEXPIRE', KEYS[4], ARGV[3])
if redis.call('GET', KEYS[5]) == ARGV[4] then redis.call('DEL', KEYS[5]) end
redis.call('DEL', KEYS[6], KEYS[7], KEYS[8])
local order = redis.call('HINCRBY', index, '_n', 1)
local function note(member, of)
  local old = redis.call('HGET', index, member)
  if old and string.match(old, ':(.*)') ~= of then pieces(old, expire(grace)) end
  redis.call('HSET', index, member, order .. ':' .. of)
end
note(ARGV[6], ARGV[7])
if ARGV[8] ~= '' then note(ARGV[8], ':0') end
local deleted = 0
while redis.call('HLEN', index) - 1 > tonumber(ARGV[5]) do
  local all, first, member, of = redis.call('HGETALL', index)
  for i = 1, #all, 2 do
    local n = all[i] ~= '_n' and tonumber(string.match(all[i + 1], '^%d+'))
    if n and (not first or n < first) then first, member, of = n, all[i], all[i + 1] end
  end
  redis.call('DEL', ARGV[9] .. 'e:' .. member)
  pieces(of, function(key) redis.call('UNLINK', key) return true end)
  redis.call('HDEL', index, member)
  deleted = deleted + 1
end
redis.call('PEXPIRE', index, math.max(redis.call('PTTL', index), keep + grace))
return {deleted}
