-- inspect.lua: what there is of a lock, of either form, to be parsed by grammar.go. It writes nothing.
-- KEYS[1] the lock   KEYS[2] its queue   KEYS[3] its holders   KEYS[4] its state, as in queue.lua and share.lua
-- ARGV    1 how many holders to list
-- Reply   {now ms, the lock's string, the state's string, waiters, holders with a lease, then of each owner and expiry (ms)}
-- A value of another type counts as absent; a missing right is an error.
local function try(...)
  local value = redis.pcall(...)
  if type(value) == 'table' and value.err and string.sub(value.err, 1, 9) ~= 'WRONGTYPE' then redis.call(...) end
  return value
end
local function text(key)
  local value = try('GET', key)
  return type(value) == 'string' and string.sub(value, 1, 512) or ''
end
local function number(...)
  local value = try(...)
  return type(value) == 'number' and value or 0
end
local _, now = clock()
local reply = {now, text(KEYS[1]), text(KEYS[4]), number('ZCARD', KEYS[2]), number('ZCOUNT', KEYS[3], '(' .. now, '+inf')}
local live = try('ZRANGEBYSCORE', KEYS[3], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[1])
for i = 1, live.err and 0 or #live do reply[#reply + 1] = string.sub(live[i], 1, 200) end
return reply
