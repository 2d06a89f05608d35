-- window_wait.lua: when a cost that a window refuses fits. Included in decide.lua and together.lua.
-- In   slots, oldest first, each {number, count}, sum of their counts, a (requests), b (length of a slot), c (slots), cost, now
-- Out  s.retry in microseconds, -1 when cost > a
s.retry = -1
local free = a - sum
for _, slot in ipairs(slots) do
  free = free + slot[2]
  if cost <= a and free >= cost then
    s.retry = (slot[1] + c + 1) * b - now
    break
  end
end
