-- lock.lua: the state of a lock of lockmw by the clock of its own server. It writes nothing.
-- KEYS    the lock, its queue, its permits and their state, as in acquire.lua and share.lua of lockmw
-- ARGV    1 how many holders of permits
-- Reply   {now, ms; the lock's string; the permits' string; how many wait; how many hold permits; then of each its owner and its end, ms}
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- A value of another type is no lock; a right that is missing is an error.
local function try(...)
  local v = redis.pcall(...)
  if type(v) == 'table' and v.err and string.sub(v.err, 1, 9) ~= 'WRONGTYPE' then redis.call(...) end
  return v
end
local function text(key)
  local v = try('GETRANGE', key, 0, 511)
  return type(v) == 'string' and v or ''
end
local function number(...)
  local v = try(...)
  return type(v) == 'number' and v or 0
end
local out = {now, text(KEYS[1]), text(KEYS[4]), number('ZCARD', KEYS[2]), number('ZCOUNT', KEYS[3], '(' .. now, '+inf')}
local live = try('ZRANGEBYSCORE', KEYS[3], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[1])
for i = 1, live.err and 0 or #live do out[#out + 1] = string.sub(live[i], 1, 200) end
return out
