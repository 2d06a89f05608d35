-- together.lua: decide all policies of one client, all or nothing, in integers, in one key: decide.lua for a limiter
-- of several policies, whose keys would be in the way of each other while a slot of a cluster moves.
-- KEYS[1] hash of the client, with fields by the name of each policy:
--   <name>       of a bucket  g<debt>:<ts>:<token>:<drain>:<until>, until 0 without a block
--                of a window  w<slot>:<count>:<until>:<from> of the newest slot; until and from of a block as in decide.lua
--                of places    c<first>:<seen>:<until>, at first the first lease may end, seen is the latest clock
--   <name>|      of a window  <slot>:<count>, of each slot before the newest, oldest first
--   <name>#      of places    how many are held
--   <name>|<id>  of places    when that lease ends
-- ARGV[1] "" for the server's clock, or a test clock in microseconds
-- ARGV[2] "charge", "force" or "block" as in decide.lua
-- ARGV    then six for each policy: kind, a, b, c, cost as in decide.lua, and its name
-- Reply   as that of decide.lua
-- A field of another form is an empty one, and so is a key of another type, which is replaced. Any other error
-- ends the script, see decide.lua.
-- include clock.lua
local key, mode, n = KEYS[1], ARGV[2], (#ARGV - 2) / 6
-- A number in a concatenation has 14 digits; as an argument of a call it has 17.
local function int(x) return x < 1e14 and x or string.format('%.0f', x) end

local wanted = {}
for k = 3, #ARGV, 6 do
  wanted[#wanted + 1] = ARGV[k + 5]
  if ARGV[k] == 'w' then wanted[#wanted + 1] = ARGV[k + 5] .. '|' end
  if ARGV[k] == 'c' then wanted[#wanted + 1] = ARGV[k + 5] .. '#' end
end
local stored = redis.pcall('HMGET', key, unpack(wanted))
local foreign = stored.err
if foreign then
  if not string.find(foreign, 'WRONGTYPE', 1, true) then return stored end
  stored = {}
end

local out, state, denied = {}, {}, 0
local block, keeper = 0, false -- until when, and whether another policy than of places keeps it
local sets, dels, ttl = {}, {}, 0
local at = 0 -- in stored
for i = 1, n do
  local k = 6 * i - 3
  local kind, a, b, c, name = ARGV[k], tonumber(ARGV[k + 1]), tonumber(ARGV[k + 2]), tonumber(ARGV[k + 3]), ARGV[k + 5]
  local s, cost = {kind = kind, name = name, until_ = 0, retry = 0}, tonumber(ARGV[k + 4])
  at = at + 1
  local v = stored[at] or ''
  if kind == 'g' then
    local token, D, C = ARGV[k + 1], b, c * a
    local d, ts, t0, u = string.match(v, '^g(%d+):(%d+):(%d+):%d+:(%d+)$')
    -- include bucket_read.lua
    s.until_, s.dirty = till, anchor
    s.token, s.D, s.C, s.debt, s.need = token, D, C, debt, cost * a
    if mode == 'charge' and s.need > 0 and debt + s.need > C then
      if s.need > C then s.retry = -1 else s.retry = math.ceil((debt + s.need - C) / D) end
    end
  elseif kind == 'w' then
    at = at + 1
    local cur, sum, slots, moved = math.floor(now / b), 0, {}, 0
    local newest, count, u, from = string.match(v, '^w(%d+):(%d+):(%d+):(%d+)$')
    if newest then
      s.newest = tonumber(newest)
      for slot, held in string.gmatch((stored[at] or '') .. newest .. ':' .. count .. ',', '(%d+):(%d+),') do
        slot, held = tonumber(slot), tonumber(held)
        if slot > cur then
          moved = moved + held
        elseif slot >= cur - c then
          slots[#slots + 1] = {slot, held}
          sum = sum + held
        else
          s.past = true -- must be written: these slots are over
        end
      end
      if moved > 0 then -- the clock stepped back: what was counted since is as if it were counted now
        local last = slots[#slots]
        if last and last[1] == cur then last[2] = last[2] + moved else slots[#slots + 1] = {cur, moved} end
        sum, s.past, s.dirty = sum + moved, true, true
      end
      u, from = tonumber(u), tonumber(from)
      if u > now then
        s.until_, s.from = u, from
        if u > from and now < from then -- the clock stepped back: no lock-out
          s.until_, s.from, s.dirty = now + u - from, now, true
        end
      end
    end
    s.N, s.w, s.c, s.cur, s.sum, s.slots, s.need = a, b, c, cur, sum, slots, cost
    if mode == 'charge' and cost > 0 and sum + cost > a then
      -- include window_wait.lua
    end
  else
    at = at + 1
    local first, seen, u = string.match(v, '^c(%d+):(%d+):(%d+)$')
    local held = first and math.max(tonumber(stored[at] or 0), 0) or 0
    first, seen, u = tonumber(first or 0), tonumber(seen or 0), tonumber(u or 0)
    if u > now then s.until_ = u elseif u > 0 then s.dirty = true end
    if held > 0 and (now >= first or now < seen) then -- a lease may have ended, or the clock stepped back
      local all, mine = redis.call('HGETALL', key), name .. '|'
      held, first, s.dirty = 0, 0, true
      for f = 1, #all, 2 do
        if string.sub(all[f], 1, #mine) == mine then
          local ends = tonumber(all[f + 1]) or 0
          if ends <= now then
            dels[#dels + 1] = all[f]
          else
            if ends > now + b then -- no lease is longer than one that begins now
              ends = now + b
              sets[#sets + 1], sets[#sets + 2] = all[f], string.format('%.0f', ends)
            end
            if held == 0 or ends < first then first = ends end
            held = held + 1
          end
        end
      end
    end
    s.N, s.lease, s.id, s.sum, s.first = a, b, ARGV[k + 4], held, first
    if mode == 'charge' and s.id ~= '' and held >= a then s.retry = 1000000 end
  end
  -- include block_hold.lua
  state[i] = s
end
-- include block_places.lua

for i = 1, n do
  local s, name = state[i], state[i].name
  local write = denied == 0
  if mode == 'block' and (s.kind ~= 'c' or not keeper) then
    s.from, s.until_, s.need = now, now + tonumber(ARGV[6 * i + 1]), 0
    s.dirty = true
  end
  local remaining, reset, nxt
  if s.kind == 'g' then
    local debt = s.debt
    if write then debt = debt + s.need end
    if debt > s.C then debt = s.C end -- only when forced
    if debt < 0 then debt = 0 end
    if write and s.need ~= 0 or s.dirty then
      local till, token, D = s.until_, s.token, s.D
      -- include bucket_field.lua
    end
    remaining, reset, nxt = debt, s.until_ > 0 and s.until_ - now or 0, 0
  elseif s.kind == 'w' then
    local slots = s.slots
    if write and s.need ~= 0 then
      s.dirty = true
      if s.need > 0 then
        local last = slots[#slots]
        if last and last[1] == s.cur then last[2] = last[2] + s.need else slots[#slots + 1] = {s.cur, s.need} end
      end
      local back = -s.need -- a refund is taken from the newest slots
      for f = #slots, 1, -1 do
        if back <= 0 then break end
        local removed = math.min(back, slots[f][2])
        slots[f][2] = slots[f][2] - removed
        back = back - removed
        if f < #slots then s.past = true end
      end
      s.sum = math.max(0, s.sum + s.need)
    end
    if s.dirty then
      local last = slots[#slots]
      if last or s.until_ > 0 then
        local slot, count = s.cur, 0
        if last then slot, count = last[1], last[2] end
        sets[#sets + 1], sets[#sets + 2] = name, 'w' .. int(slot) .. ':' .. int(count) .. ':' .. int(s.until_) .. ':' .. int(s.from or 0)
        ttl = math.max(ttl, math.ceil(math.max((s.c + 1) * s.w, s.until_ - now) / 1000))
        if s.past or s.newest ~= slot then
          local past = {}
          for f = 1, #slots - 1 do
            if slots[f][2] > 0 then past[#past + 1] = int(slots[f][1]) .. ':' .. int(slots[f][2]) .. ',' end
          end
          if #past > 0 then
            sets[#sets + 1], sets[#sets + 2] = name .. '|', table.concat(past)
          else
            dels[#dels + 1] = name .. '|'
          end
        end
      else
        dels[#dels + 1], dels[#dels + 2] = name, name .. '|'
      end
    end
    -- include window_state.lua
  else
    local entering, blocking = write and mode == 'charge' and s.id ~= '', mode == 'block' and not keeper
    if entering then
      local ends = now + s.lease
      sets[#sets + 1], sets[#sets + 2] = name .. '|' .. s.id, string.format('%.0f', ends)
      if s.sum == 0 or ends < s.first then s.first = ends end
      s.sum = s.sum + 1
    end
    if entering or blocking or s.dirty then
      if s.sum > 0 or s.until_ > 0 then
        sets[#sets + 1], sets[#sets + 2] = name, 'c' .. int(s.first) .. ':' .. stamp .. ':' .. int(s.until_)
        sets[#sets + 1], sets[#sets + 2] = name .. '#', s.sum
        ttl = math.max(ttl, math.ceil(math.max(s.lease, s.until_ - now) / 1000) + 1000)
      else
        dels[#dels + 1], dels[#dels + 2] = name, name .. '#'
      end
    end
    remaining, reset, nxt = math.max(0, s.N - s.sum), 0, 0
    if s.until_ > now then remaining, nxt, reset = 0, s.until_ - now, s.until_ - now end
  end
  out[#out + 1] = remaining
  out[#out + 1] = s.retry
  out[#out + 1] = reset
  out[#out + 1] = nxt
end
if #sets + #dels > 0 then
  -- include fields_write.lua
end
return {denied, unpack(out)}
