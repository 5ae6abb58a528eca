-- CLAIM: take jobs from their queues and register them as started, in one step: a job is never between two lists. Each is
-- looked at, then checked, then taken: what is wrong with one neither loses it nor touches those before it.
-- ARGV: worker, iso now, lease_s, max jobs, execution id prefix, mode, exc_string and failure of an expired job,
--   then per queue: name, cost budget (tokens), most jobs; a queue with neither left is not touched.
-- mode 'fresh' takes jobs that never hurt a worker; it stops at one that did (a suspect) and reports it.
-- mode 'suspect' takes suspects from the queues' heads and nothing else: whoever is with one when it kills its worker
--   is suspected too. Those suspected once go together, those suspected again each alone.
-- Repeated with the same prefix (its reply was lost), it gives the same claims again.
-- Returns {1 if a suspect waits, {{id, execution, queue, data (none of a large job) and FIELDS, events of its stream}…}, {queues with more},
--   1 if it began the worker's lease: what that had held before is not its own any more,
--   1 if it stopped because it had done enough: call again}.
deny_oom()
local FIELDS = {'timeout', 'result_ttl', 'mlxq_crashes', 'mlxq_cost', 'retries_left', 'retry_intervals', 'mlxq_parts',
  'success_callback_name', 'failure_callback_name', 'stopped_callback_name', 'webhooks', 'mlxq_streams'}
local DONE = {finished = true, failed = true, canceled = true, stopped = true}
local INLINE_BYTES = 65536                                       -- a larger job is read by the worker: it would hold up all others
local REPLY_BYTES = 1048576                                      -- of all jobs together
local STEPS, EXPIRED_STEPS = 600, 8                              -- a job that is skipped is one step, one that has expired costs more
local worker, iso, lease, max_jobs, prefix, mode = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local t = now()
local mail, suspect_waits = {}, 0
local memory_key = 'mlxq:claimed:' .. worker
local steps, bytes = 0, 0

local function row(id, execution, queue)
  local job_key = 'rq:job:' .. id
  local small = redis.call('HSTRLEN', job_key, 'data') <= INLINE_BYTES
  local fields = redis.call('HMGET', job_key, small and 'data' or 'no data', unpack(FIELDS))
  if fields[8] then fields[1] = false end                         -- in parts: mlxq_data_0, mlxq_data_1, …
  return {id, execution, queue, fields, fields[#fields] and sure('XLEN', 'mlxq:stream:' .. id) or 0}
end

-- Those of its last answer that are still its own. It is kept until the worker's next one, or its end.
local function recall()
  local memory, found = {}, {}
  for line in string.gmatch(sure('GET', memory_key) or '', '[^\n]+') do memory[#memory + 1] = line end
  if memory[1] ~= prefix then return false end
  for n = 3, #memory, 2 do
    local id, execution = memory[n], prefix .. ((n - 1) / 2)
    if is_current(id, execution) then found[#found + 1] = row(id, execution, memory[n + 1]) end
  end
  return {mode == 'suspect' and #found > 0 and 1 or 0, found, {}, tonumber(memory[2]), 1}
end
local recalled = recall()
if recalled then return recalled end

-- What is to become of the job at the queue's head: 'take', 'skip' (it leaves the queue) or 'stay'; and its record's head.
local function look(queue, id)
  if is_tombstone(queue, id) then return 'skip' end
  local job_key = 'rq:job:' .. id
  local head = redis.pcall('HMGET', job_key, 'status', 'mlxq_execution', 'mlxq_expires_at', 'worker_name', 'mlxq_crashes',
    'mlxq_cost', 'mlxq_attempts')
  if head.err then
    sure('ZADD', 'rq:failed:' .. queue, t + 86400, id)           -- not even a hash: out of the way, but visible
    return 'skip'
  end
  local size = redis.call('HSTRLEN', job_key, 'data')
  if not head[1] and size == 0 and redis.call('HEXISTS', job_key, 'data') == 0 then return 'skip' end     -- expired or deleted meanwhile
  if DONE[head[1]] then return 'skip' end
  if head[2] and sure('ZSCORE', held_key(head[4] or ''), id .. ':' .. head[2]) then return 'skip' end     -- listed twice
  local expires_at = tonumber(head[3] or '')
  if expires_at and expires_at < t then
    fail(mail, queue, id, iso, '', '', ARGV[7], ARGV[8])
    steps = steps + EXPIRED_STEPS
    return 'skip'
  end
  return 'take', head, size <= INLINE_BYTES and size or 0
end

local claimed = {}

local function take(queue, id, head)
  local n = #claimed + 1
  local job_key, execution = 'rq:job:' .. id, prefix .. n
  local member = id .. ':' .. execution
  local attempts = (tonumber(head[7] or '') or 0) + 1
  redis.call('HSET', job_key, 'status', 'started', 'origin', queue, 'started_at', iso, 'last_heartbeat', iso, 'worker_name', worker,
    'mlxq_execution', execution, 'mlxq_attempts', attempts)
  redis.call('HDEL', job_key, 'mlxq_expires_at')                  -- the ttl bounds the wait for a first start
  redis.call('PERSIST', job_key)
  redis.call('HSET', 'rq:execution:' .. member, 'id', execution, 'created_at', t, 'last_heartbeat', t, 'worker_name', worker,
    'mlxq_queue', queue)
  sure('ZADD', 'rq:executions:' .. id, '+inf', execution)
  sure('ZADD', 'rq:wip:' .. queue, '+inf', member)               -- never expires: stock RQ would fail the job
  sure('ZADD', held_key(worker), string.format('%.0f', t * 1000000 + n), member)
  claimed[n] = {id, execution, queue}
end

local began = not sure('ZSCORE', LEASES, worker)
if began then lose_held(worker) end
local memory, backlog, is_enough = {prefix, began and 1 or 0}, {}, false
for at = 9, #ARGV, 3 do
  local queue, budget, room = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local queue_key = 'rq:queue:' .. queue
  while #claimed < max_jobs and budget > 0 and room > 0 do
    if steps >= STEPS then is_enough = true; break end
    local id = redis.pcall('LINDEX', queue_key, 0)
    if not id or type(id) == 'table' then break end               -- empty, or no list: whoever submits is told
    steps = steps + 1
    local verdict, head, size = look(queue, id)
    if verdict == 'take' then
      local crashes = tonumber(head[5] or '') or 0
      if crashes > 0 then suspect_waits = 1 end
      if (crashes > 0) ~= (mode == 'suspect') or (crashes > 1 and #claimed > 0) then break end
      if #claimed > 0 and bytes + size > REPLY_BYTES then is_enough = true; break end
      take(queue, id, head)
      redis.call('LPOP', queue_key)
      memory[#memory + 1] = id
      memory[#memory + 1] = queue
      bytes = bytes + size
      budget = budget - (tonumber(head[6] or '') or 1)
      room = room - 1
      if crashes > 1 then max_jobs = 1 end
    else
      redis.call('LPOP', queue_key)
    end
  end
  local length = redis.pcall('LLEN', queue_key)
  if type(length) == 'number' and length > 0 then
    wake(queue)
    backlog[#backlog + 1] = queue
  end
end
-- A worker that finds nothing writes nothing.
if began then redis.call('ZADD', LEASES, t + lease, worker) end
if began or #claimed > 0 then redis.call('SET', memory_key, table.concat(memory, '\n')) end
for n, each in ipairs(claimed) do claimed[n] = row(unpack(each)) end
post(mail)
return {suspect_waits, claimed, backlog, began and 1 or 0, is_enough and 1 or 0}
