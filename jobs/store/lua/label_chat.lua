-- LABEL_CHAT: another head of a stored chat. ARGV: id, head, most bytes of all chats. Returns labelled, full, or gone.
deny_oom()
local id, head, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = 'mlxq:chat:' .. id
if sure('HEXISTS', key, 'head') == 0 then return 'gone' end
local more = #head - redis.call('HSTRLEN', key, 'head')
if more > 0 and chats_used() + more > most then return 'full' end
redis.call('HSET', key, 'head', head)
sure('INCRBY', CHATS_USED, more)
sure('HINCRBY', 'mlxq:chat_bytes', id, more)
return 'labelled'
