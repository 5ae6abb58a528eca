-- KEEP_CHAT: a stored chat, whose parts were written beside this script, is listed and counted. Idempotent. ARGV: id, bytes.
deny_oom()
local id, bytes = ARGV[1], tonumber(ARGV[2])
local known = tonumber(sure('HGET', 'mlxq:chat_bytes', id) or '') or 0
sure('HINCRBY', 'mlxq:chat_bytes', 'all', bytes - known)
sure('HSET', 'mlxq:chat_bytes', id, bytes)
sure('ZADD', 'mlxq:chats', 0, id)
