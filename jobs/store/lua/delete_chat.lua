-- DELETE_CHAT. ARGV: id. Returns 1, or 0 where there is no such chat.
allow_oom()
local there = redis.call('EXISTS', 'mlxq:chat:' .. ARGV[1])
forget_chat(ARGV[1])
return there
