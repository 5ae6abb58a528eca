-- CLAIM: pop jobs and register them as started, in one step: a job is never between two lists.
-- ARGV: worker, iso now, lease_s, max jobs, execution id prefix, mode, exc_string and failure of an expired job,
--   then per queue: name, cost budget (tokens), most jobs; a queue with neither left is not touched.
-- mode 'fresh' takes jobs that never hurt a worker; it stops at one that did (a suspect) and reports it.
-- mode 'suspect' takes suspects from the queues' heads and nothing else: whoever is with one when it kills its worker
--   is suspected too. Those suspected once go together, those suspected again each alone.
-- Repeated with the same prefix (its reply was lost), it gives the same claims again.
-- Returns {1 if a suspect waits, {{id, execution, queue, data (none of a large job) and FIELDS, events of its stream}…}, {queues with more}}.
deny_oom()
local FIELDS = {'timeout', 'result_ttl', 'mlxq_crashes', 'mlxq_cost', 'retries_left', 'retry_intervals', 'mlxq_parts',
  'success_callback_name', 'failure_callback_name', 'stopped_callback_name', 'webhooks', 'mlxq_streams'}
local DONE = {finished = true, failed = true, canceled = true, stopped = true}
local worker, iso, lease, max_jobs, prefix, mode = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local t = now()
local claimed, mail, suspect_waits = {}, {}, 0
local memory_key = 'mlxq:claimed:' .. worker
local memory = {prefix}

local INLINE_BYTES = 65536                                       -- a larger job is read by the worker: it would hold up all others

local function row(id, execution, queue)
  local job_key = 'rq:job:' .. id
  local small = redis.call('HSTRLEN', job_key, 'data') <= INLINE_BYTES
  local fields = redis.call('HMGET', job_key, small and 'data' or 'no data', unpack(FIELDS))
  if fields[8] then fields[1] = false end                         -- in parts: mlxq_data_0, mlxq_data_1, …
  return {id, execution, queue, fields, fields[#fields] and sure('XLEN', 'mlxq:stream:' .. id) or 0}
end

local function recall()
  local lines = {}
  for line in string.gmatch(redis.call('GET', memory_key) or '', '[^\n]+') do lines[#lines + 1] = line end
  if lines[1] ~= prefix then return false end
  for n = 2, #lines, 2 do
    local id, execution = lines[n], prefix .. (n / 2)
    if redis.call('ZSCORE', 'mlxq:leases', id .. ':' .. execution) then
      claimed[#claimed + 1] = row(id, execution, lines[n + 1])
    end
  end
  return true
end
if recall() then return {mode == 'suspect' and #claimed > 0 and 1 or 0, claimed, {}} end

local function claimable(queue, id)
  local job_key = 'rq:job:' .. id
  local head = redis.pcall('HMGET', job_key, 'status', 'mlxq_execution', 'mlxq_expires_at')
  if head.err then
    redis.call('ZADD', 'rq:failed:' .. queue, t + 86400, id)     -- not even a hash: out of the way, but visible
    return false
  end
  local status, execution, expires_at = head[1], head[2], head[3]
  if not status and redis.call('HEXISTS', job_key, 'data') == 0 then return false end               -- expired or deleted meanwhile
  if DONE[status] then return false end
  if execution and redis.call('ZSCORE', 'mlxq:leases', id .. ':' .. execution) then return false end  -- listed twice
  if expires_at and tonumber(expires_at) < t then
    fail(mail, queue, id, iso, '', '', ARGV[7], ARGV[8])
    return false
  end
  return true
end

local function take(queue, id)
  local job_key, execution = 'rq:job:' .. id, prefix .. (#claimed + 1)
  local member = id .. ':' .. execution
  redis.call('HSET', job_key, 'status', 'started', 'origin', queue, 'started_at', iso, 'last_heartbeat', iso, 'worker_name', worker,
    'mlxq_execution', execution)
  redis.call('HINCRBY', job_key, 'mlxq_attempts', 1)
  redis.call('HDEL', job_key, 'mlxq_expires_at')                  -- the ttl bounds the wait for a first start
  redis.call('PERSIST', job_key)
  redis.call('HSET', 'rq:execution:' .. member, 'id', execution, 'created_at', t, 'last_heartbeat', t, 'worker_name', worker)
  sure('ZADD', 'rq:executions:' .. id, '+inf', execution)
  redis.call('ZADD', 'rq:wip:' .. queue, '+inf', member)         -- never expires: stock RQ would fail the job
  redis.call('ZADD', 'mlxq:leases', t + lease, member)
  memory[#memory + 1] = id
  memory[#memory + 1] = queue
  claimed[#claimed + 1] = row(id, execution, queue)
end

local backlog = {}
for at = 9, #ARGV, 3 do
  local queue, budget, room = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local queue_key = 'rq:queue:' .. queue
  while #claimed < max_jobs and budget > 0 and room > 0 do
    local id = redis.call('LPOP', queue_key)
    if not id then break end
    if not is_tombstone(queue, id) and claimable(queue, id) then
      local info = redis.call('HMGET', 'rq:job:' .. id, 'mlxq_crashes', 'mlxq_cost')
      local crashes = tonumber(info[1] or '') or 0
      if crashes > 0 then suspect_waits = 1 end
      if (crashes > 0) ~= (mode == 'suspect') or (crashes > 1 and #claimed > 0) then
        redis.call('LPUSH', queue_key, id)
        break
      end
      take(queue, id)
      budget = budget - (tonumber(info[2] or '') or 1)
      room = room - 1
      if crashes > 1 then max_jobs = 1 end
    end
  end
  if redis.call('LLEN', queue_key) > 0 then
    wake(queue)
    backlog[#backlog + 1] = queue
  end
end
if #claimed > 0 then redis.call('SET', memory_key, table.concat(memory, '\n'), 'PX', math.floor(lease * 1000)) end
post(mail)
return {suspect_waits, claimed, backlog}
