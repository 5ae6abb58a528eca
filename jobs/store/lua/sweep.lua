-- SWEEP: drop entries of a queue's ended jobs that have expired, from RQ's registries and from our list, mend what
-- RQ's own tools have left of that list, and have a started job that nobody holds run again. ARGV: queue, most.  Returns 1 if there is more to do.
allow_oom()
local queue, most = ARGV[1], tonumber(ARGV[2])
local list, more = 'mlxq:jobs:' .. queue, 0
local STATE_OF = {finished = 'finished', failed = 'failed', stopped = 'failed', canceled = 'canceled'}

-- A record may outlive its entry by a moment: Redis rounds, and deletes late. Without the entry nobody would look at it again soon.
local LATE_S = 1

for _, state in ipairs({'finished', 'failed', 'canceled'}) do
  local registry = 'rq:' .. state .. ':' .. queue
  local ids = sure('ZRANGEBYSCORE', registry, '-inf', now() - LATE_S, 'LIMIT', 0, most)
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

-- Records that were deleted, and jobs whose status was set, by others. SWEPT says how far the last sweep of any worker came in
-- each range of the list: one after the other they look at all of it. Open jobs are few beside all that have ended, and have a
-- range of their own.
local SWEPT = 'mlxq:swept'
local LOOKED_AT = 5 * most                                        -- most are right, and only read
local RANGES = {{'open', '[o', '(p'}, {'below', '-', '(o'}, {'above', '[p', '+'}}

local function look_at(member)
  local id = string.gsub(string.sub(member, 2), '^/', '')
  local status = redis.pcall('HGET', 'rq:job:' .. id, 'status')   -- an error where the record is no hash
  local right = status and type(status) ~= 'table' and listed(STATE_OF[status] or 'open', id)
  if status == 'started' and all_are_held then requeue_unheld(id) end
  if right == member then return false end
  redis.call('ZREM', list, member)
  if right then redis.call('ZADD', list, 0, right) end
  return true
end

-- Executions whose record was deleted, and whose worker died: nothing else says which queue they are from.
local function sweep_executions()
  local wip, name = 'rq:wip:' .. queue, 'wip ' .. queue
  local first = tonumber(sure('HGET', SWEPT, name) or '') or 0
  local members, gone = sure('ZRANGE', wip, first, first + most - 1), 0
  for _, member in ipairs(members) do
    local id = string.match(member, '^(.*):[^:]*$')
    if id and redis.call('EXISTS', 'rq:job:' .. id) == 0 then gone = gone + redis.call('ZREM', wip, member) end
  end
  if #members == most then
    redis.call('HSET', SWEPT, name, string.format('%d', first + most - gone))
  elseif first > 0 then
    redis.call('HDEL', SWEPT, name)
  end
end

sweep_executions()
for _, range in ipairs(RANGES) do
  local name, first, last = range[1] .. ' ' .. queue, range[2], range[3]
  local swept, wrong = sure('HGET', SWEPT, name), 0
  local members = sure('ZRANGEBYLEX', list, swept and '(' .. swept or first, last, 'LIMIT', 0, LOOKED_AT)
  for _, member in ipairs(members) do
    if look_at(member) then wrong = wrong + 1 end
  end
  if #members == LOOKED_AT then
    redis.call('HSET', SWEPT, name, members[LOOKED_AT])
    if wrong * 4 > LOOKED_AT then more = 1 end                         -- what vanished together lies together
  elseif swept then
    redis.call('HDEL', SWEPT, name)
  end
end
return more
