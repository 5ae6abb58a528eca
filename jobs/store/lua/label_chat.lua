-- LABEL_CHAT: another head of a stored chat. ARGV: id, head. Returns 1, or 0 where the chat is gone.
deny_oom()
local key = 'mlxq:chat:' .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return 0 end
redis.call('HSET', key, 'head', ARGV[2])
return 1
