-- FOLLOW_UP: take one ended job's follow-ups. Each taking counts as a try, so that what kills its worker is not tried
-- for ever. ARGV: id (it has just ended, and nobody may have taken it yet); '' takes one that is due.
-- Repeated (its reply was lost), it counts one try more.  Returns {id, tries with this one}, or nothing.
allow_oom()
local TRIES = 'mlxq:followup_tries'
local id = ARGV[1]
if id == '' then
  id = redis.call('ZRANGEBYSCORE', 'mlxq:followups', '-inf', now(), 'LIMIT', 0, 1)[1]
  if not id then return false end
elseif not redis.call('ZSCORE', 'mlxq:followups', id) or redis.call('HEXISTS', TRIES, id) == 1 then
  return false
end
redis.call('ZADD', 'mlxq:followups', now() + FOLLOW_UP_S, id)
return {id, redis.call('HINCRBY', TRIES, id, 1)}
