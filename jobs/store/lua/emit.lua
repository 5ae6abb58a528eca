-- EMIT: append to streams, and tell whoever listens. Fenced: only the execution that the job's record names adds anything.
-- A log has no gap: an event whose predecessor is not there (Redis lost the end of its file) is not added, nor is one that
-- is there already (the reply to an earlier, equal call was lost).
-- ARGV: ttl_s of a stream, then per event: id, execution, number (from 1 on), body. Events of one job in their order.
-- Returns {members (id:execution) no longer held, {member, number of the last event that is there, … of those with a gap}}.
allow_oom()
local ttl, lost, behind, mail = tonumber(ARGV[1]), {}, {}, {}

local function append(id, member, number, body)
  local key, last = 'mlxq:stream:' .. id, last_event(id)
  if number <= last then return end
  if number == last + 1 then
    local reply = redis.pcall('XADD', key, string.format('%d-0', number), 'pieces', body)
    if type(reply) ~= 'table' or not reply.err then
      if number == 1 then redis.call('EXPIRE', key, ttl) end       -- the job's end sets it anew
      local waiters = redis.call('HGET', 'rq:job:' .. id, 'mlxq_waiters')
      return tell_channels(mail, waiters, id, 'pieces', string.format('%d ', number) .. body)
    end
    if not string.find(tostring(reply.err), 'equal or smaller', 1, true) then return redis.call('XADD', key, string.format('%d-0', number), 'pieces', body) end
    redis.call('DEL', key)                                        -- others took entries out of it: it cannot be gone on with
    last = 0
  end
  if not behind[member] then
    behind[member] = true
    behind[#behind + 1] = member
    behind[#behind + 1] = last
  end
end

for at = 2, #ARGV, 4 do
  local id, execution, number, body = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local member = id .. ':' .. execution
  if is_current(id, execution) then append(id, member, number, body) else lost[#lost + 1] = member end
end
post(mail)
return {lost, behind}
