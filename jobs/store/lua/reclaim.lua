-- RECLAIM: executions whose lease ran out (worker killed, frozen or hung): back to the queue's front, or failed for good.
-- ARGV: iso now, max crashes, exc_string and failure for the last crash, which ('all': those whose lease ran out, and
--   these; 'these': no others), then members whose lease ends now.
-- Returns {requeued ids, failed ids}.
allow_oom()
local iso, max_crashes, which = ARGV[1], tonumber(ARGV[2]), ARGV[5]
local expired = {}
for at = 6, #ARGV do
  if redis.call('ZSCORE', 'mlxq:leases', ARGV[at]) then
    redis.call('ZADD', 'mlxq:leases', 0, ARGV[at])
    expired[#expired + 1] = ARGV[at]
  end
end
if which == 'all' then expired = redis.call('ZRANGEBYSCORE', 'mlxq:leases', '-inf', now(), 'LIMIT', 0, 500) end
local requeued, failed, mail = {}, {}, {}
for n = #expired, 1, -1 do                                       -- last first: the front keeps the order
  local id, execution = string.match(expired[n], '^(.*):([^:]*)$')
  local job_key = 'rq:job:' .. id
  local head = redis.pcall('HMGET', job_key, 'origin', 'status', 'mlxq_execution')
  if head.err or not head[1] then
    redis.call('ZREM', 'mlxq:leases', expired[n])
    redis.call('DEL', 'rq:execution:' .. expired[n], 'rq:executions:' .. id)
    for _, queue_key in ipairs(redis.call('SMEMBERS', 'rq:queues')) do     -- its queue is not known any more
      redis.call('ZREM', 'rq:wip:' .. string.sub(queue_key, 10), expired[n])
    end
  else
    local queue = head[1]
    drop_execution(queue, id, execution)
    if head[2] == 'started' and head[3] == execution then
      if redis.call('HINCRBY', job_key, 'mlxq_crashes', 1) >= max_crashes then
        fail(mail, queue, id, iso, '', execution, ARGV[3], ARGV[4])
        failed[#failed + 1] = id
      else
        redis.call('HSET', job_key, 'status', 'queued')
        redis.call('LPUSH', 'rq:queue:' .. queue, id)
        wake(queue)
        requeued[#requeued + 1] = id
      end
    end
  end
end
post(mail)
return {requeued, failed}
