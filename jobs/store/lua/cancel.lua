-- CANCEL: end a job that has not ended. A running one loses its lease, so its worker's FINISH changes nothing, and
-- the worker is told to drop it. ARGV: id, iso now, failure.  Returns canceled, ended or missing.
allow_oom()
local id, iso, failure = ARGV[1], ARGV[2], ARGV[3]
local job_key = 'rq:job:' .. id
local record = read_record(job_key)
local status, execution = record.status, record.execution
if not status then return 'missing' end
if status == 'canceled' then return 'canceled' end
if status == 'finished' or status == 'failed' or status == 'stopped' then return 'ended' end
local head = redis.call('HMGET', job_key, 'origin', 'worker_name')
local queue, worker = head[1], head[2]
sure('ZREM', 'rq:scheduled:' .. queue, id)
sure('ZREM', 'rq:deferred:' .. queue, id)
if execution then
  drop_execution(queue, id, execution, worker or '')
  tell_dropped(worker or '', id, execution)
  redis.call('PUBLISH', 'rq:pubsub:' .. (worker or ''), '{"command": "mlxq-drop", "job_id": "' .. id .. '"}')
end
local mail, ttl = {}, failure_ttl(record)
tell_channels(mail, record.waiters, id, 'canceled', failure)
write_ended(job_key, record, 'canceled', iso, false)
keep(job_key, id, queue, 'canceled', ttl, false, record)
post(mail)
-- A job that waits stays in its queue's list, whose length may be a million, as a tombstone. It becomes one last: a claim
-- drops it, and may not drop a job that could not be canceled.
if status == 'queued' and sure('LREM', 'mlxq:suspects:' .. queue, 0, id) == 0 then
  sure('SADD', 'mlxq:tombstones:' .. queue, id)
  drop_tombstones(queue)
end
return 'canceled'
