-- CLAIM: take jobs from their queues and register them as started, in one step: a job is never between two lists. Each is
-- looked at, then checked, then taken: what is wrong with one neither loses it nor touches those before it.
-- ARGV: worker, iso now, lease_s, max jobs, execution id prefix, mode, exc_string and failure of an expired job, max crashes,
--   latest version of a record that the worker knows, 1 if it has no job, seconds after which a worker with jobs sees to suspects,
--   then per queue: name, cost budget (tokens), most jobs, jobs that the worker has of it, workers that serve it; a queue
--   with no budget or jobs left is not touched. What several workers serve is shared: each takes no more than makes up an
--   even part of all that waits and runs.
-- mode 'fresh' takes jobs from the queues, also those that were in one worker that died. Where suspects wait, the worker may be
--   given the turn instead: it takes nothing, lets its hand become empty, and asks again. It gives an earlier turn back.
-- mode 'suspect' takes suspects of one queue, if the worker has the turn: several that may run beside others, or one that runs alone.
-- Repeated with the same prefix (its reply was lost), it gives the same claims again.
-- Returns {1 if the worker has the turn, {{id, execution, queue, data (none of a large job) and FIELDS, last event of its stream}…},
--   {queues with more}, 1 if it began the worker's lease: what that had held before is not its own any more,
--   1 if it stopped because it had done enough: call again, {queue, version of the job at its head that is newer, …},
--   {queues with more that is left to other workers}}.
deny_oom()
local FIELDS = {'timeout', 'result_ttl', 'mlxq_crashes', 'mlxq_cost', 'retries_left', 'retry_intervals', 'mlxq_parts',
  'success_callback_name', 'failure_callback_name', 'stopped_callback_name', 'webhooks', 'mlxq_streams'}
-- What is looked at besides, behind a job's data and FIELDS.
local LOOKED = {unpack(FIELDS)}
for _, name in ipairs({'status', 'mlxq_execution', 'mlxq_expires_at', 'worker_name', 'mlxq_attempts', 'mlxq_version'}) do
  LOOKED[#LOOKED + 1] = name
end
local CRASHES, COST, STATUS, EXECUTION, EXPIRES_AT, WORKER_NAME, ATTEMPTS, VERSION = 4, 5, 14, 15, 16, 17, 18, 19
local DONE = {finished = true, failed = true, canceled = true, stopped = true}
local INLINE_BYTES = 65536                                       -- a larger job is read by the worker: it would hold up all others
local REPLY_BYTES = 1048576                                      -- of all jobs together
local STEPS, EXPIRED_STEPS = 600, 8                              -- a job that is skipped is one step, one that has expired costs more
local AHEAD = 64                                                 -- so many ids of a list are read at a time
local worker, iso, lease, max_jobs, prefix, mode = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local max_crashes, version, is_idle, patience = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11] == '1', tonumber(ARGV[12])
local QUEUES, WIDTH = 13, 5
local t = now()
local mail, newer, left = {}, {}, {}
local memory_key = 'mlxq:claimed:' .. worker
local steps, bytes = 0, 0

-- A job's data if it is small, FIELDS and the rest of LOOKED; an error where the key is no hash. And the data's bytes.
local function read(job_key)
  local size = redis.pcall('HSTRLEN', job_key, 'data')
  if type(size) ~= 'number' then return size end
  return redis.pcall('HMGET', job_key, size <= INLINE_BYTES and 'data' or 'no data', unpack(LOOKED)), size
end

-- What the worker is told of a job. It gets a large one's data by itself.
local function row(id, execution, queue, fields)
  for n = #fields, STATUS, -1 do fields[n] = nil end
  if fields[8] then fields[1] = false end                         -- in parts: mlxq_data_0, mlxq_data_1, …
  return {id, execution, queue, fields, fields[#fields] and last_event(id) or 0}
end

-- Those of its last answer that are still its own. It is kept until the worker's next one, or its end.
local function recall()
  local memory, found = {}, {}
  for line in string.gmatch(sure('GET', memory_key) or '', '[^\n]+') do memory[#memory + 1] = line end
  if memory[1] ~= prefix then return false end
  for n = 3, #memory, 2 do
    local id, execution = memory[n], prefix .. ((n - 1) / 2)
    if is_current(id, execution) then found[#found + 1] = row(id, execution, memory[n + 1], read('rq:job:' .. id)) end
  end
  return {0, found, {}, tonumber(memory[2]), 1, {}, {}}
end
local recalled = recall()
if recalled then return recalled end

-- Whether a later version wrote the job at the queue's head: it waits for a worker that can read it, and so does what is
-- behind it. Such a queue is not reported to have more, and leaves no marker: this worker would ask again and again.
local function is_newer(queue, written_by)
  written_by = tonumber(written_by or '') or 0
  if written_by <= version then return false end
  if not newer[queue] then
    newer[queue] = true
    newer[#newer + 1] = queue
    newer[#newer + 1] = written_by
  end
  return true
end

-- Whether a queue has any tombstones: none is made meanwhile.
local buried = {}
local function has_tombstones(queue)
  if buried[queue] == nil then buried[queue] = redis.call('EXISTS', 'mlxq:tombstones:' .. queue) == 1 end
  return buried[queue]
end

local claimed, is_taken = {}, {}                                 -- by their ids
gather()

-- What is to become of the job at the head: 'take', 'skip' (it leaves the list) or 'stay'; and what its record says.
local function look(queue, id)
  if has_tombstones(queue) and is_tombstone(queue, id) then return 'skip' end
  local job_key = 'rq:job:' .. id
  local head, size = read(job_key)
  if head.err or string.find(id, '[^!-~]') then                   -- neither we nor RQ make such ids
    sure('ZADD', 'rq:failed:' .. queue, t + 86400, id)           -- or not even a hash: out of the way, but visible
    return 'skip'
  end
  local status, execution, expires_at = head[STATUS], head[EXECUTION], tonumber(head[EXPIRES_AT] or '')
  if not status and size == 0 and redis.call('HEXISTS', job_key, 'data') == 0 then return 'skip' end     -- expired or deleted meanwhile
  if DONE[status] then return 'skip' end
  if execution and (is_taken[id] or sure('ZSCORE', held_key(head[WORKER_NAME] or ''), id .. ':' .. execution)) then return 'skip' end    -- listed twice
  if is_newer(queue, head[VERSION]) then return 'stay' end
  if expires_at and expires_at < t then
    fail(mail, queue, id, read_record(job_key), iso, '', '', ARGV[7], ARGV[8])
    steps = steps + EXPIRED_STEPS
    return 'skip'
  end
  return 'take', head, size <= INLINE_BYTES and size or 0
end

local function take(queue, id, head)
  local n = #claimed + 1
  local job_key, execution = 'rq:job:' .. id, prefix .. n
  local member = id .. ':' .. execution
  local attempts = (tonumber(head[ATTEMPTS] or '') or 0) + 1
  redis.call('HSET', job_key, 'status', 'started', 'origin', queue, 'started_at', iso, 'last_heartbeat', iso, 'worker_name', worker,
    'mlxq_execution', execution, 'mlxq_attempts', attempts == 1 and '1' or attempts)
  if head[EXPIRES_AT] then redis.call('HDEL', job_key, 'mlxq_expires_at') end     -- the ttl bounds the wait for a first start
  redis.call('PERSIST', job_key)
  put_in('rq:wip:' .. queue, '+inf', member)                      -- never expires: stock RQ would fail the job
  put_in(held_key(worker), string.format('%d', t * 1000000 + n), member)
  claimed[n], is_taken[id] = row(id, execution, queue, head), true
end

local began = not sure('ZSCORE', LEASES, worker)
if began then lose_held(worker, 'died') end
local memory, backlog, is_enough = {prefix, began and 1 or 0}, {}, false

local function note_taken(id, queue)
  memory[#memory + 1] = id
  memory[#memory + 1] = queue
end

local is_alone = false                                           -- the job that was taken is to run without any other

-- Whether the job was taken, and what it costs; nil if it stays where it is. Else it is to leave its list.
local function take_from(queue, id, is_fresh)
  local verdict, head, size = look(queue, id)
  local crashes = head and tonumber(head[CRASHES] or '') or 0
  if verdict == 'take' and is_fresh and is_suspect(crashes, max_crashes) then
    put_suspect(queue, id, crashes, max_crashes)                  -- it was given back, or failed and is to be tried again
    verdict, is_enough = 'skip', true
  elseif verdict == 'take' and #claimed > 0 then
    if bytes + size > REPLY_BYTES then verdict, is_enough = 'stay', true end
    if not is_fresh and runs_alone(crashes, max_crashes) then verdict = 'stay' end
  end
  if verdict == 'stay' then return nil end
  if verdict == 'take' then
    take(queue, id, head)
    note_taken(id, queue)
    bytes = bytes + size
    is_alone = runs_alone(crashes, max_crashes)
  end
  return verdict == 'take', head and tonumber(head[COST] or '') or 1
end

-- A marker for each of the others that has its part to take: one after the other would take long.
local function wake_all(queue, others)
  local key = 'mlxq:wake:' .. queue
  for _ = sure('LLEN', key) + 1, others do redis.call('RPUSH', key, '1') end
  redis.call('EXPIRE', key, 60)
end

local function take_fresh(queue, budget, room, has, workers)
  local list = 'rq:queue:' .. queue
  if workers > 1 and budget > 0 and room > 0 and redis.call('EXISTS', list) == 1 then
    local part = math.ceil((waiting(queue) + sure('ZCARD', 'rq:wip:' .. queue)) / workers) - has
    if part < room then
      room = math.max(0, part)
      left[#left + 1] = queue
      if room > 0 then wake_all(queue, workers - 1) end
    end
  end
  local ids, done = {}, 0                                         -- those at the head, and how many of them are to leave
  while #claimed < max_jobs and budget > 0 and room > 0 do
    if steps >= STEPS then is_enough = true; break end
    if done == #ids then                                          -- an error where it is no list: whoever submits is told
      for _, id in ipairs(redis.pcall('LRANGE', list, done, done + math.min(AHEAD, max_jobs - #claimed, room) - 1)) do
        ids[#ids + 1] = id
      end
      if done == #ids then break end
    end
    steps = steps + 1
    local taken, cost = take_from(queue, ids[done + 1], true)
    if taken == nil then break end
    done = done + 1
    if taken then budget, room = budget - cost, room - 1 end
  end
  if done > 0 then redis.call('LPOP', list, done) end
end

local function take_suspects(queue, budget, room)
  local list = SUSPECTS .. ':' .. queue
  while #claimed < max_jobs and (#claimed == 0 or budget > 0 and room > 0) and not is_alone and steps < STEPS do
    local id = sure('LINDEX', list, 0)
    if not id then break end
    steps = steps + 1
    local taken, cost = take_from(queue, id, false)
    if taken == nil then break end
    redis.call('LPOP', list)
    if taken then budget, room = budget - cost, room - 1 end
  end
  if redis.call('EXISTS', list) == 0 then
    sure('ZREM', SUSPECTS, queue)
  else
    sure('ZADD', SUSPECTS, t, queue)
  end
end

local function model_of(queue) return string.match(queue, '^[^:]*:(.*):[^:]*$') or queue end

local function holder_of_turn(queue)
  local holder = sure('HGET', TURNS, model_of(queue))
  return holder and sure('ZSCORE', LEASES, holder) and holder
end

-- Queues with suspects that the worker could run now: those whose turn nobody has, and that have waited for so long.
local has_suspects = redis.call('EXISTS', SUSPECTS) == 1

-- A suspect that a later version wrote waits for a worker that can read it, and so do those behind it.
local function is_readable(queue)
  local id = sure('LINDEX', SUSPECTS .. ':' .. queue, 0)
  local written_by = id and redis.pcall('HGET', 'rq:job:' .. id, 'mlxq_version')
  return type(written_by) ~= 'string' or (tonumber(written_by) or 0) <= version
end

local function take_turn(waited_s)
  for at = QUEUES, has_suspects and #ARGV or 0, WIDTH do
    local queue, room = ARGV[at], tonumber(ARGV[at + 2])
    local since = room > 0 and tonumber(sure('ZSCORE', SUSPECTS, queue) or '')
    if since and since > t then since = t - waited_s end           -- the clock was set back: nobody knows how long it has waited
    if since and t - since >= waited_s and not holder_of_turn(queue) and is_readable(queue) then
      sure('HSET', TURNS, model_of(queue), worker)
      return true
    end
  end
  return false
end

local has_turn = false

local function claim_all()
  local had_turn = false
  if mode == 'fresh' then
    had_turn = redis.call('EXISTS', TURNS) == 1 and end_turns(worker)
    -- A worker without jobs sees to suspects first, but in turns with fresh work. One with jobs would have to stop claiming.
    if not had_turn then has_turn = take_turn(is_idle and 0 or patience) end
  end
  for at = QUEUES, has_turn and 0 or #ARGV, WIDTH do
    local queue, budget, room = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    if mode == 'fresh' then
      take_fresh(queue, budget, room, tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
    elseif room > 0 and #claimed == 0 and holder_of_turn(queue) == worker then
      take_suspects(queue, budget, room)
    end
  end
  if had_turn and is_idle and #claimed == 0 then has_turn = take_turn(0) end
end

local is_whole, problem = pcall(claim_all)
for at = QUEUES, #ARGV, WIDTH do
  local queue, room = ARGV[at], tonumber(ARGV[at + 2])
  local head = redis.pcall('LINDEX', 'rq:queue:' .. queue, 0)
  if type(head) == 'string' then
    if room == 0 then                                             -- not looked at, and its model may have to be loaded
      local written_by = redis.pcall('HGET', 'rq:job:' .. head, 'mlxq_version')
      if type(written_by) == 'string' then is_newer(queue, written_by) end
    end
  else
    head = nil
  end
  if newer[queue] then
    -- nothing to wake for
  elseif head then
    wake(queue)
    backlog[#backlog + 1] = queue
  elseif has_suspects and room == 0 and sure('ZSCORE', SUSPECTS, queue) then
    backlog[#backlog + 1] = queue                                 -- its model has to be loaded
  end
end
-- A worker that finds nothing writes nothing.
if began then sure('ZADD', LEASES, t + lease, worker) end
if began or #claimed > 0 then redis.call('SET', memory_key, table.concat(memory, '\n')) end
write_gathered()
post(mail)
if not is_whole then error(problem, 0) end                       -- the same call again gives what was taken before it
return {has_turn and 1 or 0, claimed, backlog, began and 1 or 0, is_enough and 1 or 0, newer, left}
