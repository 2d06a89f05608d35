-- grammar.lua: how a lock is written in Redis. It precedes each script of this package; grammar.go is the same in Go.
-- A lock that one owner holds is a string, "<kind><owner>|<expiry>|<lease>|<fence>|<queue>":
--   kind     h held | g held, with a lease of grace because the clock may have been set | r reserved for a woken waiter | f free
--   owner    <instance>:<number>, empty if the lock is free
--   expiry   ms since 1970 by the server's clock   lease   its length in ms
--   fence    the first of 16 that are reserved with each grant; the other 15 are for handoffs within the owner's process
--   queue    1 if there may be waiters, else 0
-- A lock that several may hold has a state, "<permits>|<longest lease>|<fence>|<grace>|<writer>", in ms: permits 0 means any number of
-- readers, grace is when the leases that look expired really are (0: now), writer is the owner of the whole lock.
-- All of it outlives the lease by ten minutes, because fences grow and a holder that returns must learn that it lost the lock.
local FENCES, RETENTION = 16, 600000
local RESERVATION, ALIVE = 100, 3000 -- ms a woken waiter has to come, ms since its last poll within which a waiter counts
local FREE = '^f|0|0|(%d+)|0$' -- the commonest lock: free, without waiters; its fence
local function parse(value)
  return string.match(value, '^(.)([^|]*)|(%d+)|(%d+)|(%d+)|(.)')
end
local function format(kind, owner, expiry, lease, fence, queue)
  return kind .. owner .. '|' .. expiry .. '|' .. lease .. '|' .. fence .. '|' .. queue
end
local function hold(owner, now, lease, fence, queue)
  redis.call('SET', KEYS[1], format('h', owner, now + lease, lease, fence, queue), 'PX', lease + RETENTION)
end
local function parse_state(value)
  return string.match(value, '^(%d+)|(%d+)|(%d+)|(%d+)|(.*)')
end
local function format_state(permits, longest, fence, grace, writer)
  return permits .. '|' .. longest .. '|' .. fence .. '|' .. grace .. '|' .. writer
end
local function clock() -- in us and in ms
  local t = redis.call('TIME')
  local us = t[1] * 1000000 + t[2]
  return us, math.floor(us / 1000)
end
local function tell(owner, what) -- 'go': this waiter may take the lock; 'lost': this holder's lock was taken
  redis.pcall('PUBLISH', string.match(KEYS[1], '^(.*){') .. 'wake:' .. string.match(owner, '^[^:]*'), what .. '|' .. owner)
end
