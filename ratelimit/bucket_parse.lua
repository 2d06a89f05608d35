-- bucket_parse.lua: split the value of a bucket that has a key of its own. Included in cell.lua and decide.lua.
-- In   v      reply of GET: "debt:ts:token[:until]", anything else is a full bucket
-- Out  d, ts, t0, u as text, nil for a full bucket; u is nil without a block
local d, ts, t0, u
if type(v) == 'string' then
  d, ts, t0 = string.match(v, '^(%d+):(%d+):(%d+)$')
  if not d then d, ts, t0, u = string.match(v, '^(%d+):(%d+):(%d+):(%d+)$') end
end
