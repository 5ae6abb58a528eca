-- ATTACH: the caller's channel is told when the job ends. A full Redis takes it: it adds no work. ARGV: id, channel.  Returns the status, or false if missing.
allow_oom()
local job_key = 'rq:job:' .. ARGV[1]
local head = redis.call('HMGET', job_key, 'status', 'mlxq_waiters')
local status, waiters = head[1], head[2] or ''
if status and not string.find(waiters, ARGV[2], 1, true) then
  redis.call('HSET', job_key, 'mlxq_waiters', waiters .. ' ' .. ARGV[2])
end
return status
