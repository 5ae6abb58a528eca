-- CHAT_ROOM: forget stored chats that are too old. ARGV: the least id that is not. Returns the bytes of all that are left.
allow_oom()
local MOST_FORGOTTEN = 100
for _, id in ipairs(sure('ZRANGEBYLEX', 'mlxq:chats', '-', '(' .. ARGV[1], 'LIMIT', 0, MOST_FORGOTTEN)) do forget_chat(id) end
return tonumber(sure('HGET', 'mlxq:chat_bytes', 'all') or '') or 0
