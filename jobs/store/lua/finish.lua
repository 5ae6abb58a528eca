-- FINISH: settle executions. Fenced: whoever lost the lease (or whose job was canceled) changes nothing.
-- ARGV: worker, iso now, seconds worked, count, then per execution:
--   id, execution, queue, verdict, ttl_s or delay_s, stored, failure, number of its stream's last event (0: not to be looked at)
-- verdict finished: stored = base64 of the result, kept for ttl_s; failure = how many parts lie beside it,
--         '' for none. Where Redis has lost some of them (the end of its file), the job is given back: it is done again
--         failed | stopped: stored = exc_string, failure = msgpack
--         retry: back to the queue after delay_s          release: back to the queue's front, unharmed
-- Returns {stale ids, ids that the caller is to follow up, {id, last event that is there, … of those whose log lacks its end: they
--   are not settled before it is there}}.
allow_oom()
local worker, iso, worked, count = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local worker_key = 'rq:worker:' .. worker
local stale, followups, behind, mail = {}, {}, {}, {}
local succeeded, failed = 0, 0

-- To the queue's tail, at once or after delay_s. Its status says so last: until then the execution may be settled again.
local function again(job_key, id, queue, delay)
  if delay > 0 then
    sure('ZADD', 'rq:scheduled:' .. queue, now() + delay, id)
    redis.call('HSET', job_key, 'status', 'scheduled')
    return
  end
  number(queue, job_key)
  sure('RPUSH', 'rq:queue:' .. queue, id)
  redis.call('HSET', job_key, 'status', 'queued')
  wake(queue)
end

-- One less. Not by HINCRBY, which fails where the field holds no integer.
local function decrement(job_key, field)
  redis.call('HSET', job_key, field, (tonumber(redis.call('HGET', job_key, field) or '') or 1) - 1)
end

-- Whoever enqueued a job through RQ may have asked that it is repeated (rq/repeat.py: the intervals count from the end).
-- Its results gather; they and the job get their end when the last one is there.
local function repeated(job_key, id, queue, record)
  local left = tonumber(record.repeats_left or '') or 0
  if left < 1 then return false end
  local is_json, intervals = pcall(cjson.decode, redis.call('HGET', job_key, 'repeat_intervals') or '')
  local delay = is_json and type(intervals) == 'table' and tonumber(intervals[math.min(left, #intervals)]) or 0
  decrement(job_key, 'repeats_left')
  redis.call('DEL', 'mlxq:stream:' .. id)
  again(job_key, id, queue, delay)
  redis.call('HDEL', job_key, 'mlxq_execution')
  return true
end

local function lacks_parts(execution, parts)
  return parts ~= '' and sure('HLEN', beside_key(execution)) < (tonumber(parts) or 0)
end

local function settle(id, execution, queue, record, verdict, ttl, stored, failure)
  local job_key = 'rq:job:' .. id
  if verdict == 'release' or verdict == 'retry' then
    if verdict == 'release' then
      decrement(job_key, 'mlxq_attempts')
      sure('LPUSH', 'rq:queue:' .. queue, id)
      redis.call('HSET', job_key, 'status', 'queued')
      wake(queue)
    else
      failed = failed + 1
      decrement(job_key, 'retries_left')
      again(job_key, id, queue, ttl)
    end
    return
  end
  local followed_up
  ttl = math.max(-1, math.min(ttl, LONGEST_TTL_S))
  if verdict == 'finished' then
    succeeded = succeeded + 1
    local has_more = redis.call('EXISTS', 'rq:results:' .. id, job_key .. ':dependents') > 0    -- most have neither
    if not (has_more and has_result_of(id, execution)) then add_result(id, execution, 'type', '1', 'return_value', stored) end
    if failure ~= '' then keep_beside(execution, ttl) end
    tell_channels(mail, record.waiters, id, 'finished', stored)
    followed_up = follow_up(job_key, id, record.webhooks or has_more and has_dependents(job_key), false, FOLLOW_UP_S)
    if repeated(job_key, id, queue, record) then
      redis.call('HSET', job_key, 'ended_at', iso)
    else
      write_ended(job_key, record, 'finished', iso, followed_up)
      keep(job_key, id, queue, 'finished', ttl, followed_up, record)
    end
  else
    failed = failed + 1
    followed_up = fail(mail, queue, id, record, iso, worker, execution, stored, failure, verdict)
  end
  if followed_up then followups[#followups + 1] = id end
end

local function settle_all()
  local at = 5
  for n = 1, count do
    local id, execution, queue = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local job_key = 'rq:job:' .. id
    local record, verdict, events = read_record(job_key), ARGV[at + 3], tonumber(ARGV[at + 7])
    local is_held = record.status == 'started' and record.execution == execution
    local last = is_held and events > 0 and last_event(id)
    if last and last < events then
      behind[#behind + 1] = id
      behind[#behind + 1] = last
    elseif is_held then
      -- Not before: where Redis refuses a step in the middle, the worker still holds the job, and its next try settles it.
      if verdict == 'finished' and lacks_parts(execution, ARGV[at + 6]) then
        redis.call('DEL', beside_key(execution))
        verdict = 'release'
      end
      settle(id, execution, queue, record, verdict, tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6])
      if verdict ~= 'finished' then redis.call('HDEL', job_key, 'mlxq_execution') end
      drop_traces(queue, id, execution, worker)
    else
      drop_execution(queue, id, execution, worker)
      if not has_result_of(id, execution) then stale[#stale + 1] = id .. ':' .. execution end   -- else an earlier reply was lost
    end
    at = at + 8
  end
end

gather()
local is_whole, problem = pcall(settle_all)
write_gathered()                                                  -- also of those before one that Redis has refused
if not is_whole then
  post(mail)
  error(problem, 0)
end
if redis.call('EXISTS', worker_key) == 1 then
  redis.pcall('HINCRBY', worker_key, 'successful_job_count', succeeded)      -- for RQ to show: no job fails by it
  redis.pcall('HINCRBY', worker_key, 'failed_job_count', failed)
  redis.pcall('HINCRBYFLOAT', worker_key, 'total_working_time', worked)
end
post(mail)
return {stale, followups, behind}
