-- fields_write.lua: write fields of the client's key, which lives as long as the last of them needs, and up to an eighth
-- longer: so that not each call must prolong it. Included in the scripts of that key.
-- In   key, foreign if it is of another type, sets (field, value …), dels (fields), ttl in ms, 0 if none is set
local left = redis.call('PTTL', key)
local lasting = ttl > 0 and left < ttl and string.format('%.0f', math.ceil(ttl * 1.125))
-- Before anything is written: without the right to it nothing is, and no key stays for ever.
if lasting then redis.call('PEXPIRE', key, lasting) end
if foreign then redis.call('DEL', key) end
local last = #sets
if last > 0 and last <= 1000 then
  redis.call('HSET', key, unpack(sets))
else
  for f = 1, last, 1000 do redis.call('HSET', key, unpack(sets, f, math.min(f + 999, last))) end
end
for f = 1, #dels, 1000 do redis.call('HDEL', key, unpack(dels, f, math.min(f + 999, #dels))) end
if left == -2 and lasting or foreign then redis.call('PEXPIRE', key, lasting or left) end
