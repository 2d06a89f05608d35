-- begin.lua: may this instance run this tick of the job now?
-- KEYS[1] the job, a hash: o owner of the run under way, x its expiry (ms, server clock), f fence, last the latest tick begun, start
--         of the last run and n its attempt, host who runs it; done and err of the last run that ended (finish.lua),
--         miss and why of the last misfire (misfire.lua)
-- KEYS[2] with ARGV[8]: the ticks that instances watch, a hash of tick to when it was asked for last (ms)
-- ARGV    1 owner  2 lease ms  3 retention ms  4 tick ms since 1970, 0 for none  5 least ms between starts  6 most ms a tick may be
--         ahead of the server's clock  7 most ms it may be late  8 take over a run whose owner died (1|0)  9 host
--         10 the caller has watched a run (1|0): without a tick it then begins only in place of a dead owner
-- Reply   {1, fence, attempt} run | {0, 0, 0} this tick was begun | {-1, 0, ms left} it runs elsewhere | {-2, 0, ms} too early by |
--         {-3, 0, ms} too late by | {-4, 0, ms} too soon after the last start: wait
-- Asking twice with one owner begins once, with one fence.
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
local h = redis.call('HMGET', KEYS[1], 'o', 'x', 'f', 'last', 'start', 'n')
local o, x, f = h[1] or '', tonumber(h[2] or 0), tonumber(h[3] or 0)
local last, start, n = tonumber(h[4] or 0), tonumber(h[5] or 0), tonumber(h[6] or 0)
local tick, gap = tonumber(ARGV[4]), tonumber(ARGV[5])
local runs = o ~= '' and x > now
local died = o ~= '' and not runs and ARGV[8] == '1' -- the last run never reported its end
if o == ARGV[1] and runs then return {1, string.format('%.0f', f), n} end
if tick > 0 and tick > now + tonumber(ARGV[6]) then return {-2, '0', tick - now} end
if tick > 0 and tick < last then return {0, '0', 0} end
local lease = tonumber(ARGV[2])
local function watch(left) -- with a note of the tick, so that later ones let it go first
  if ARGV[8] == '1' and tick > 0 then
    redis.call('HSET', KEYS[2], ARGV[4], string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[2], 4 * lease)
  end
  return {-1, '0', left}
end
if runs then return watch(x - now) end
if tick == 0 and ARGV[10] == '1' and not died then return {0, '0', 0} end
local again = died and (tick == last or tick == 0)
if ARGV[8] == '1' and tick > last then
  local watched = redis.call('HGETALL', KEYS[2])
  for i = 1, #watched, 2 do
    local other = tonumber(watched[i])
    if now - tonumber(watched[i + 1]) > lease or other < last or other == last and not died then
      redis.call('HDEL', KEYS[2], watched[i]) -- nobody watches it any more, or it is done
    elseif other < tick then
      return watch(10)
    end
  end
end
if tick > 0 and tick == last and not again then return {0, '0', 0} end
if tick > 0 and not again and now - tick > tonumber(ARGV[7]) then return {-3, '0', now - tick} end
if gap > 0 and start > 0 and now - start < gap and not again then return {-4, '0', gap - (now - start)} end
if us <= f then us = f + 1 end -- the fence grows even when the clock does not
n = again and n + 1 or 1
if ARGV[8] == '1' then redis.call('HDEL', KEYS[2], ARGV[4]) end
redis.call('HSET', KEYS[1], 'o', ARGV[1], 'x', string.format('%.0f', now + lease), 'f', string.format('%.0f', us),
  'start', string.format('%.0f', now), 'n', n, 'host', ARGV[9])
if tick > last then redis.call('HSET', KEYS[1], 'last', string.format('%.0f', tick)) end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', lease + tonumber(ARGV[3])))
return {1, string.format('%.0f', us), n}
