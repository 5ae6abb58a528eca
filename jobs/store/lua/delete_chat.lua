-- DELETE_CHAT. Its job's record says so from then on: a repeated request must not bring it back. ARGV: id.
-- Returns 1, or 0 where there is no such chat.
allow_oom()
local id = ARGV[1]
if sure('HEXISTS', 'mlxq:chat:' .. id, 'head') == 0 then return 0 end
forget_chat(id)
local job_key = 'rq:job:' .. id
if redis.pcall('HEXISTS', job_key, 'status') == 1 then redis.call('HSET', job_key, 'mlxq_chat_deleted', 1) end
return 1
