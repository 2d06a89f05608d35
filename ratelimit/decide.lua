-- decide.lua: decide all policies of one request, all or nothing, in integers, for a limiter of one policy. That of
-- several has together.lua; it may still be asked about several that are passed with the call.
-- KEYS    one per policy, in one slot
-- ARGV[1] "" for the server's clock, or a test clock in microseconds
-- ARGV[2] "charge" decides and charges; "force" charges after the fact,
--         refusing nothing; "block" refuses everything for <cost> microseconds
-- ARGV    then five for each key: kind, a, b, c, cost
--   "g" generic cell rate: a/b = period_us/rate in lowest terms (token, drain), c = burst.
--       String "debt:ts:token[:until]", absent = full bucket
--   "w" window: a requests in c slots of b microseconds; the slot under way and the c before it count.
--       Hash of slot number -> count, and "until" of a block and when that was set, "from"
--   "c" concurrency: a at a time, leases of b microseconds; cost is the lease's id, "" only reads.
--       Sorted set of ids by the time their lease ends, and "until" where no other policy keeps a block
-- Reply   {denied, then four for each key}
--         denied is the first policy that refuses, 0 if none; retry_us is -1 when cost > burst
--   "g" debt, retry_us, blocked_us, 0: the rest is arithmetic, done by the caller
--   "w", "c" remaining, retry_us, reset_us, next_us
-- A key of another type is an empty one and is replaced. Any other error ends the script: with a right
-- that the ACL does not give, nothing would ever be counted.
-- Every number stays below 2^53 and is therefore exact in a Lua double.
-- include clock.lua
local mode, n, out, state, denied = ARGV[2], #KEYS, {}, {}, 0
local block, keeper = 0, false -- until when, and whether another policy than of concurrency keeps it

local function int(x) return string.format('%.0f', x) end
local function failed(v) return type(v) == 'table' and v.err and not string.find(v.err, 'WRONGTYPE', 1, true) end

for i = 1, n do
  local k = 3 + (i - 1) * 5
  local kind, a, b, c = ARGV[k], tonumber(ARGV[k + 1]), tonumber(ARGV[k + 2]), tonumber(ARGV[k + 3])
  local s, cost = {kind = kind, until_ = 0, retry = 0}, tonumber(ARGV[k + 4])
  if kind == 'g' then
    local token, D, C = ARGV[k + 1], b, c * a
    local v = redis.pcall('GET', KEYS[i])
    if failed(v) then return v end
    -- include bucket_parse.lua
    -- include bucket_read.lua
    s.until_, s.anchor = till, anchor
    s.token, s.D, s.C, s.debt, s.need = token, D, C, debt, cost * a
    if mode == 'charge' and s.need > 0 and debt + s.need > C then
      if s.need > C then s.retry = -1 else s.retry = math.ceil((debt + s.need - C) / D) end
    end
  elseif kind == 'w' then
    local cur, sum, slots, ahead, moved = math.floor(now / b), 0, {}, {}, 0
    local v = redis.pcall('HGETALL', KEYS[i])
    if failed(v) then return v end
    if not v.err then
      for f = 1, #v, 2 do
        local slot, count = tonumber(v[f]), tonumber(v[f + 1])
        if v[f] == 'until' and count and count > now then
          s.until_ = count
        elseif v[f] == 'from' then
          s.from = count or 0
        elseif slot and slot > cur and count and count > 0 and count < 9007199254740992 then
          ahead[#ahead + 1] = v[f]
          moved = moved + count
        elseif slot and count and slot >= cur - c and slot <= cur then
          slots[#slots + 1] = {slot, count}
          sum = sum + count
        else
          s.old = s.old or {}
          s.old[#s.old + 1] = v[f]
        end
      end
      table.sort(slots, function(x, y) return x[1] < y[1] end)
      local stepped = moved > 0
      if stepped then -- the clock stepped back: what was counted since is as if it were counted now
        redis.call('HINCRBY', KEYS[i], int(cur), int(moved))
        redis.call('HDEL', KEYS[i], unpack(ahead))
        local last = slots[#slots]
        if last and last[1] == cur then last[2] = last[2] + moved else slots[#slots + 1] = {cur, moved} end
        sum = sum + moved
      end
      if s.from and s.until_ == 0 then
        s.old = s.old or {}
        s.old[#s.old + 1] = 'from'
      elseif s.from and s.until_ > s.from and now < s.from then -- the clock stepped back: no lock-out
        s.until_, s.from, stepped = now + s.until_ - s.from, now, true
        redis.call('HSET', KEYS[i], 'until', int(s.until_), 'from', int(now))
      end
      if stepped and s.old then
        redis.call('HDEL', KEYS[i], unpack(s.old))
        s.old = nil
      end
    else
      s.foreign = true
    end
    s.N, s.w, s.c, s.cur, s.sum, s.slots, s.need = a, b, c, cur, sum, slots, cost
    if mode == 'charge' and cost > 0 and sum + cost > a then
      -- include window_wait.lua
    end
  else
    if redis.call('TYPE', KEYS[i]).ok ~= 'zset' then redis.call('DEL', KEYS[i]) end
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    s.N, s.lease, s.id, s.sum = a, b, ARGV[k + 4], redis.call('ZCARD', KEYS[i])
    if s.sum > 0 then
      local u = redis.call('ZSCORE', KEYS[i], 'until')
      if u then s.until_, s.sum = tonumber(u), s.sum - 1 end
      -- The clock stepped back: no lease is longer than one that begins now.
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], '(' .. int(now + b), '+inf')) do
        if id ~= 'until' then redis.call('ZADD', KEYS[i], int(now + b), id) end
      end
    end
    if mode == 'charge' and s.id ~= '' and s.sum >= a then s.retry = 1000000 end
  end
  -- include block_hold.lua
  state[i] = s
end
-- include block_places.lua

for i = 1, n do
  local s, key = state[i], KEYS[i]
  local write = denied == 0
  if mode == 'block' and (s.kind ~= 'c' or not keeper) then
    s.from, s.until_, s.need = now, now + tonumber(ARGV[3 + (i - 1) * 5 + 4]), 0
    s.anchor = true
  end
  local remaining, reset, nxt
  if s.kind == 'g' then
    local debt = s.debt
    if write then debt = debt + s.need end
    if debt > s.C then debt = s.C end -- only when forced
    if debt < 0 then debt = 0 end
    if write and s.need ~= 0 or s.anchor then
      local till, token, D = s.until_, s.token, s.D
      -- include bucket_write.lua
    end
    remaining, reset, nxt = debt, s.until_ > 0 and s.until_ - now or 0, 0
  elseif s.kind == 'w' then
    if write and s.need ~= 0 or mode == 'block' then
      -- Before anything is written: without the right to it nothing is, and no key stays for ever.
      local fresh, ttl = #s.slots == 0, int(math.ceil(math.max((s.c + 1) * s.w, s.until_ - now) / 1000))
      redis.call('PEXPIRE', key, ttl)
      if s.foreign then redis.call('DEL', key) end
      if s.old then redis.call('HDEL', key, unpack(s.old)) end
      if s.need > 0 then
        redis.call('HINCRBY', key, int(s.cur), int(s.need))
        local last = s.slots[#s.slots]
        if last and last[1] == s.cur then last[2] = last[2] + s.need else s.slots[#s.slots + 1] = {s.cur, s.need} end
      end
      local back = -s.need -- a refund is taken from the newest slots
      for f = #s.slots, 1, -1 do
        if back <= 0 then break end
        local removed = math.min(back, s.slots[f][2])
        s.slots[f][2] = s.slots[f][2] - removed
        back = back - removed
        if removed > 0 then redis.call('HINCRBY', key, int(s.slots[f][1]), int(-removed)) end -- of 0 the text would be "-0"
      end
      s.sum = math.max(0, s.sum + s.need)
      if s.until_ > 0 then redis.call('HSET', key, 'until', int(s.until_), 'from', int(s.from or now)) end
      if fresh then redis.call('PEXPIRE', key, ttl) end
    end
    -- include window_state.lua
  else
    local entering, blocking = write and mode == 'charge' and s.id ~= '', mode == 'block' and not keeper
    if entering or blocking then
      local ttl = int(math.ceil(math.max(s.lease, s.until_ - now) / 1000) + 1000)
      redis.call('PEXPIRE', key, ttl)
      if entering then
        redis.call('ZADD', key, int(now + s.lease), s.id)
        s.sum = s.sum + 1
      else
        redis.call('ZADD', key, int(s.until_), 'until')
      end
      if s.sum <= 1 then redis.call('PEXPIRE', key, ttl) end
    end
    remaining, reset, nxt = math.max(0, s.N - s.sum), 0, 0
    if s.until_ > now then remaining, nxt, reset = 0, s.until_ - now, s.until_ - now end
  end
  out[#out + 1] = remaining
  out[#out + 1] = s.retry
  out[#out + 1] = reset
  out[#out + 1] = nxt
end
return {denied, unpack(out)}
