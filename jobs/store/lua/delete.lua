-- DELETE: free all that is kept of an ended job. ARGV: id, the key beside which its result lies in parts ('' for none).
-- What it still asks for (follow-ups) is done first: its bare record stays for that, an hour at most.
-- Returns deleted, open (it has not ended) or missing.
allow_oom()
local id, beside = ARGV[1], ARGV[2]
local job_key = 'rq:job:' .. id
local head = redis.call('HMGET', job_key, 'status', 'origin', 'mlxq_idem')
local status, queue, idem = head[1], head[2], head[3]
if not status then return 'missing' end
if not (status == 'finished' or status == 'failed' or status == 'stopped' or status == 'canceled') then return 'open' end
for _, state in ipairs({'finished', 'failed', 'canceled'}) do sure('ZREM', 'rq:' .. state .. ':' .. queue, id) end
relist(queue, id)
if idem then
  local named = redis.pcall('HGET', idem, 'job')
  if named == id then redis.call('UNLINK', idem) end
end
redis.call('UNLINK', 'rq:results:' .. id, 'mlxq:stream:' .. id)
if beside ~= '' then redis.call('UNLINK', beside) end
if redis.call('ZSCORE', 'mlxq:followups', id) then
  redis.call('EXPIRE', job_key, 3600)
else
  redis.call('DEL', job_key, job_key .. ':dependents')
end
return 'deleted'
