-- SWEEP: drop entries of a queue's ended jobs that have expired, from RQ's registries and from our list, mend what
-- RQ's own tools have left of that list, and have a started job that nobody holds run again. ARGV: queue, most.  Returns 1 if there is more to do.
allow_oom()
local queue, most = ARGV[1], tonumber(ARGV[2])
local list, more = 'mlxq:jobs:' .. queue, 0
local STATE_OF = {finished = 'finished', failed = 'failed', stopped = 'failed', canceled = 'canceled'}

for _, state in ipairs({'finished', 'failed', 'canceled'}) do
  local registry = 'rq:' .. state .. ':' .. queue
  local ids = sure('ZRANGEBYSCORE', registry, '-inf', now(), 'LIMIT', 0, most)
  for _, id in ipairs(ids) do
    redis.call('ZREM', registry, id)
    if redis.call('EXISTS', 'rq:job:' .. id) == 0 then relist(queue, id) end
  end
  if #ids == most then more = 1 end
end

-- Who holds the executions of a worker that died is known when RECLAIM has gone through all of them.
local all_are_held = redis.call('EXISTS', LOST) == 0

-- A job that is started and held by nobody would never end: a Redis that crashed or failed over may have lost that much.
local function requeue_unheld(id)
  local job_key = 'rq:job:' .. id
  local head = redis.call('HMGET', job_key, 'origin', 'mlxq_execution', 'worker_name')
  local execution, worker = head[2], head[3] or ''
  if head[1] ~= queue or (execution and sure('ZSCORE', held_key(worker), id .. ':' .. execution)) then return end
  if execution then drop_execution(queue, id, execution, worker) end
  sure('LPUSH', 'rq:queue:' .. queue, id)
  redis.call('HSET', job_key, 'status', 'queued')
  wake(queue)
end

-- Records that were deleted, and jobs whose status was set, by others: some at random, and again where many were wrong.
local wrong, sample = 0, sure('ZRANDMEMBER', list, most)
for _, member in ipairs(sample) do
  local id = string.gsub(string.sub(member, 2), '^/', '')
  local status = redis.pcall('HGET', 'rq:job:' .. id, 'status')   -- an error where the record is no hash
  local right = status and type(status) ~= 'table' and listed(STATE_OF[status] or 'open', id)
  if right ~= member then
    wrong = wrong + 1
    redis.call('ZREM', list, member)
    if right then redis.call('ZADD', list, 0, right) end
  end
  if status == 'started' and all_are_held then requeue_unheld(id) end
end
if wrong * 4 > most then more = 1 end
return more
