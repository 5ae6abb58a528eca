-- RECLAIM: jobs of workers that are gone (killed, frozen, cut off) go back to the front of their queues, or to the suspects,
-- or are failed for good.
-- What such a worker held is first put out of its reach, all at once by its name, and then worked on in slices. So is what a
-- worker held that left: its jobs go back unharmed.
-- ARGV: iso now, lease_s, max crashes, exc_string and failure for the last crash, whose:
--   'expired': of workers whose lease has ended; 'worker', name: also this one's, which is known to be dead;
--   'hung', worker, member, …: these executions, whose call hung in a worker that lives;
--   'unknown', worker, member, …: these, which a worker that lives does not have (Redis lost the end of its file): no crash.
-- Returns {requeued, failed, 1 if there is more to do: call again}.
allow_oom()
local SLICE, WORKERS = 200, 16
local iso, lease, max_crashes, whose = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[6]
local requeued, failed, mail = 0, 0, {}
local t, may_end = look_after_leases(lease)

-- Of jobs whose record is gone, or no hash any more: nothing says which queue they are from.
local forgotten = {}

local function forget()
  if #forgotten == 0 then return end
  for _, queue in ipairs(sure('SMEMBERS', 'rq:queues')) do
    local name = string.match(queue, '^rq:queue:(.+:.+:.+)$')      -- others are not ours
    if name and redis.call('EXISTS', 'rq:wip:' .. name) == 1 then sure('ZREM', 'rq:wip:' .. name, unpack(forgotten)) end
  end
end

local function take_back(member, is_crash)
  local id, execution = string.match(member, '^(.*):([^:]*)$')
  if not id then return end
  local job_key = 'rq:job:' .. id
  local head = redis.pcall('HMGET', job_key, 'origin', 'status', 'mlxq_execution', 'mlxq_crashes', 'worker_name')
  if head.err or not head[1] then
    redis.call('DEL', 'rq:execution:' .. member, 'rq:executions:' .. id)
    forgotten[#forgotten + 1] = member
    return
  end
  local queue, is_held = head[1], head[2] == 'started' and head[3] == execution
  drop_execution(queue, id, execution, head[5] or '')
  if not is_held then return end
  local crashes = tonumber(head[4] or '') or 0
  if is_crash then
    crashes = crashes + 1
    redis.call('HSET', job_key, 'mlxq_crashes', crashes)
  end
  if is_crash and crashes >= max_crashes then
    fail(mail, queue, id, read_record(job_key), iso, '', execution, ARGV[4], ARGV[5])
    failed = failed + 1
  else
    redis.call('HSET', job_key, 'status', 'queued')
    if is_suspect(crashes, max_crashes) then
      put_suspect(queue, id, crashes, max_crashes)
    else
      sure('LPUSH', 'rq:queue:' .. queue, id)
    end
    wake(queue)
    requeued = requeued + 1
  end
end

if whose == 'hung' or whose == 'unknown' then
  for n = #ARGV, 8, -1 do                                        -- last first: the front keeps the order
    take_back(ARGV[n], whose == 'hung')
    sure('ZREM', held_key(ARGV[7]), ARGV[n])
  end
  forget()
  post(mail)
  return {requeued, failed, 0}
end
if whose == 'worker' then
  take_lease(ARGV[7], 'died')
elseif may_end then
  for _, worker in ipairs(sure('ZRANGEBYSCORE', LEASES, '-inf', t, 'LIMIT', 0, WORKERS)) do take_lease(worker, 'died') end
end
local lost = sure('LINDEX', LOST, 0)
if lost then
  local members = sure('ZREVRANGE', lost, 0, SLICE - 1)          -- last first here, too
  local is_crash = string.find(lost, LOST .. ':left:', 1, true) ~= 1
  for _, member in ipairs(members) do take_back(member, is_crash) end
  if #members > 0 then redis.call('ZREM', lost, unpack(members)) end
  if #members < SLICE then redis.call('LPOP', LOST) end
end
forget()
post(mail)
local more = redis.call('EXISTS', LOST) == 1 or (whose == 'expired' and may_end and redis.call('ZCOUNT', LEASES, '-inf', t) > 0)
return {requeued, failed, more and 1 or 0}
