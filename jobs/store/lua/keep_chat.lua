-- KEEP_CHAT: a chat, whose parts were written beside this script under a key of their own, is stored and counted. One that is
-- stored stays as it is, and one that was deleted stays so: a request may be repeated, and so may this call.
-- ARGV: id, the parts' key, how many they are, head, bytes, most bytes of all chats, ttl_s.
-- Returns kept, full, or lost (parts are missing).
deny_oom()
local id, parts, count, head, bytes, most, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local key = 'mlxq:chat:' .. id
if sure('HEXISTS', key, 'head') == 1 or redis.pcall('HEXISTS', 'rq:job:' .. id, 'mlxq_chat_deleted') == 1 then
  redis.call('UNLINK', parts)
  return 'kept'
end
if redis.call('HLEN', parts) < count then return 'lost' end
forget_chat(id)                                                   -- its hash may be gone, and still be counted
if chats_used() + bytes > most then return 'full' end
redis.call('RENAME', parts, key)
redis.call('HSET', key, 'head', head)
redis.call('EXPIRE', key, ttl)
sure('INCRBY', CHATS_USED, bytes)
sure('HSET', 'mlxq:chat_bytes', id, bytes)
sure('ZADD', 'mlxq:chats', 0, id)
return 'kept'
