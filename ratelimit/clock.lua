-- clock.lua: the time. Included in the scripts of one key.
-- In   ARGV[1] "" for the server's clock, or a test clock in microseconds
-- Out  now, and stamp: the same as text
local stamp = ARGV[1]
if stamp == '' then
  local t = redis.call('TIME')
  stamp = t[2]
  if #stamp < 6 then stamp = string.sub('00000' .. stamp, -6) end
  stamp = t[1] .. stamp
end
local now = tonumber(stamp)
