-- FOLLOW_UP: take ended jobs whose follow-ups are due. ARGV: how many at most.  Returns their ids.
local ids = redis.call('ZRANGEBYSCORE', 'mlxq:followups', '-inf', now(), 'LIMIT', 0, tonumber(ARGV[1]))
for _, id in ipairs(ids) do redis.call('ZADD', 'mlxq:followups', now() + FOLLOW_UP_S, id) end
return ids
