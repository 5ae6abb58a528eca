-- ADMIT: take jobs into their queues. Idempotent by job id, so that a client may repeat a call whose reply was lost.
-- ARGV: most jobs and most bytes that may wait in a queue, idempotency_ttl_s, count, then per job:
--   id, queue, ttl_s ('' waits for ever), idempotency key ('' for none), fingerprint, bytes, 2 * fields, field, value, …
-- Returns per job {verdict, value}:
--   created, existing, conflict, ended (its result is kept no longer), parts (some of its data is not there: write it again)
--   + job id; full + jobs that wait; long + length of the queue's list, canceled jobs included; heavy + queue bytes;
--   strange (its list is no list) + queue.
-- No job's trouble touches another one: nothing here may raise once something was written.
deny_oom()
local most_jobs, most_bytes, idempotency_ttl, count = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local OPEN_KEY_S = 2678400                                        -- a month
local queues = {}                                                 -- by name: what it has, and what it is given here

local function queue_of(name)
  local found = queues[name]
  if not found then
    local length = redis.pcall('LLEN', 'rq:queue:' .. name)
    if type(length) ~= 'number' then
      queues[name] = {is_strange = true, ids = {}}
      return queues[name]
    end
    length = length - drop_tombstones(name)                       -- a claim may have stopped before them
    local jobs = waiting(name)
    if length == 0 then
      redis.call('DEL', 'mlxq:tombstones:' .. name)               -- of jobs that others took out of the list
    end
    found = {jobs = jobs, length = length, bytes = waiting_bytes(name, jobs), ids = {}, entries = {}}
    found.admitted, found.admitted_bytes = admitted(name)
    queues[name] = found
  end
  return found
end

local function put(queue, id, bytes)
  queue.ids[#queue.ids + 1] = id
  queue.entries[#queue.entries + 1] = 0                           -- the score
  queue.entries[#queue.entries + 1] = listed('open', id)
  queue.jobs, queue.length, queue.bytes = queue.jobs + 1, queue.length + 1, queue.bytes + bytes
  queue.admitted, queue.admitted_bytes = queue.admitted + 1, queue.admitted_bytes + bytes
end

local function named_before(idem, id, fingerprint)
  local seen = sure('HMGET', idem, 'job', 'fingerprint', 'ended')
  local first = seen[1]
  if not first then return nil end
  if first == id then return seen[3] and {'created', id} or nil end    -- a repeated call; the job may be gone by now
  local is_there = redis.call('EXISTS', 'rq:job:' .. first) == 1
  if not (is_there or seen[3]) then return nil end                -- somebody deleted the job before its end
  if seen[2] ~= fingerprint then return {'conflict', first} end
  return {is_there and 'existing' or 'ended', first}
end

-- A large job's parts are written before it. Redis may have lost them since (their time was over, a failover).
local function lacks_parts(job_key, first, last)
  for n = first, last, 2 do
    if ARGV[n] == 'mlxq_parts' then
      for part = 0, parts_of(ARGV[n + 1]) - 1 do
        if redis.call('HEXISTS', job_key, 'mlxq_data_' .. part) == 0 then return true end
      end
    end
  end
  return false
end

local at, verdicts = 5, {}
for n = 1, count do
  local id, name, ttl, idem, fingerprint = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local bytes, width, first = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]), at + 7
  at = first + width
  local job_key, queue = 'rq:job:' .. id, queue_of(name)
  local verdict = idem ~= '' and named_before(idem, id, fingerprint) or nil
  -- The record may be there without a status: a large job's parts are written before it.
  local there = verdict and 0 or redis.call('EXISTS', job_key, 'mlxq:ended:' .. id)
  if there > 0 and (sure('HEXISTS', job_key, 'status') == 1 or redis.call('EXISTS', 'mlxq:ended:' .. id) == 1) then
    verdict = {'created', id}                                     -- a repeated call
  end
  if not verdict and queue.is_strange then verdict = {'strange', name} end
  if not verdict and queue.jobs >= most_jobs then verdict = {'full', tostring(queue.jobs)} end
  if not verdict and queue.length >= 2 * most_jobs then verdict = {'long', tostring(queue.length)} end
  -- A job that is larger than the bound alone is taken where nothing waits.
  if not verdict and queue.jobs > 0 and queue.bytes + bytes > most_bytes then
    verdict = {'heavy', string.format('%d', queue.bytes)}
  end
  if not verdict and lacks_parts(job_key, first, first + width - 1) then verdict = {'parts', id} end
  if not verdict then
    redis.call('HSET', job_key, 'mlxq_seq', string.format('%d', queue.admitted + 1), 'mlxq_offset', string.format('%d', queue.admitted_bytes),
      unpack(ARGV, first, first + width - 1))
    if there > 0 then redis.call('PERSIST', job_key) end
    if ttl ~= '' then redis.call('HSET', job_key, 'mlxq_expires_at', string.format('%.3f', now() + tonumber(ttl))) end
    put(queue, id, bytes)
    if idem ~= '' then
      redis.call('DEL', idem)
      redis.call('HSET', idem, 'job', id, 'fingerprint', fingerprint, 'ttl', idempotency_ttl)
      redis.call('EXPIRE', idem, OPEN_KEY_S)
      redis.call('HSET', job_key, 'mlxq_idem', idem)
    end
    verdict = {'created', id}
  end
  if verdict[1] ~= 'created' then redis.call('DEL', job_key) end
  verdicts[n] = verdict
end
for name, queue in pairs(queues) do
  if #queue.ids > 0 then
    sure('SADD', 'rq:queues', 'rq:queue:' .. name)
    redis.call('RPUSH', 'rq:queue:' .. name, unpack(queue.ids))
    sure('ZADD', 'mlxq:jobs:' .. name, unpack(queue.entries))
    redis.call('HSET', 'mlxq:admitted', name, queue.admitted)
    redis.call('HSET', 'mlxq:admitted_bytes', name, string.format('%d', queue.admitted_bytes))
    wake(name)
  end
end
return verdicts
