-- retire.lua: delete a session that a rotation has replaced, and leave behind
-- where it went, for requests that had read it before.
-- KEYS[1] the session, KEYS[2] the marker
-- ARGV[1] the marker's value, ARGV[2] its life in ms
-- Reply   {the session's value, the marker before}, '' for what was not there
local was = redis.call('GET', KEYS[1])
local before = redis.call('GET', KEYS[2])
-- What was logged out went nowhere.
if was or before then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2]) end
redis.call('DEL', KEYS[1])
return {was or '', before or ''}
