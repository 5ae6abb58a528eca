-- EMIT: append to streams, and tell whoever listens. Fenced: an execution that lost its lease adds nothing.
-- ARGV: ttl_s of a stream, then per event: id, execution, number (from 1 on, without gaps), body.
-- Repeated (its reply was lost), it adds nothing twice.  Returns the members (id:execution) no longer held.
allow_oom()
local ttl, lost, mail = tonumber(ARGV[1]), {}, {}
for at = 2, #ARGV, 4 do
  local id, execution, number, body = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local member = id .. ':' .. execution
  if is_current(id, execution) then
    local key = 'mlxq:stream:' .. id
    redis.pcall('XADD', key, number .. '-0', 'pieces', body)       -- an error says that it is there
    if number == '1' then redis.call('EXPIRE', key, ttl) end       -- the job's end sets it anew
    tell(mail, 'rq:job:' .. id, id, 'pieces', number .. ' ' .. body)
  else
    lost[#lost + 1] = member
  end
end
post(mail)
return lost
