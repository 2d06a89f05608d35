-- acquire.lua: take a lock that is free and has no waiters, as most are. queue.lua decides all other cases.
-- KEYS[1] the lock, see grammar.lua
-- ARGV    1 owner  2 lease ms
-- Reply   {1, fence, 0, now ms} granted | {0, 0, ms left of the holder's lease, now} busy | {2, 0, 0, now} ask queue.lua
local value = redis.call('GET', KEYS[1])
local us, now = clock()
if value then
  local fence = string.match(value, FREE)
  if not fence then
    local kind, owner, expiry, lease = parse(value)
    local left = expiry - now
    if kind ~= 'h' or owner == ARGV[1] or left <= 0 or left > tonumber(lease) then return {2, 0, 0, now} end
    return {0, 0, left, now}
  end
  us = math.max(us, fence + FENCES) -- the fence grows even when the clock does not
end
hold(ARGV[1], now, ARGV[2], string.format('%.0f', us), '0')
return {1, us, 0, now}
