-- window_state.lua: what a window says about a client after a decision. Included in decide.lua and together.lua.
-- In   s of the window, now
-- Out  remaining, reset, nxt
remaining, reset, nxt = math.max(0, s.N - s.sum), 0, 0
for _, slot in ipairs(s.slots) do
  if slot[2] > 0 then
    local gone = (slot[1] + s.c + 1) * s.w - now
    if nxt == 0 then nxt = gone end
    reset = gone
  end
end
if s.until_ > now then
  remaining, nxt, reset = 0, math.max(nxt, s.until_ - now), math.max(reset, s.until_ - now)
end
