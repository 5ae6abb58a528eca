-- CHAT_ROOM: forget stored chats that are too old, some at a time. ARGV: the least id that is not.
-- Returns {how many were forgotten, the bytes of all that are left}.
allow_oom()
local MOST_FORGOTTEN = 100
local old = sure('ZRANGEBYLEX', 'mlxq:chats', '-', '(' .. ARGV[1], 'LIMIT', 0, MOST_FORGOTTEN)
for _, id in ipairs(old) do forget_chat(id) end
return {#old, chats_used()}
