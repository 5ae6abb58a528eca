-- Shared by every script (put before it by jobs/store/scripts.py).
-- Layout: RQ's own keys (rq:job:*, rq:queue:*, rq:wip:*, …) plus ours (mlxq:*). A queue is named task:model:lane.
-- Time is Redis's: workers' clocks may differ, leases must not.

-- At maxmemory Redis refuses commands that may need memory, as long as the script has written nothing yet. So the first
-- write decides for the whole script. It changes nothing here: no such key exists.

-- For scripts that only keep, end or free what is there.
local function allow_oom() redis.call('DEL', 'mlxq:probe') end

-- For scripts that add or begin work: they do it whole or not at all.
local function deny_oom() redis.call('SET', 'mlxq:probe', '', 'XX') end

-- One time for the whole script.
local script_time
local function now()
  if not script_time then
    local t = redis.call('TIME')
    script_time = tonumber(t[1]) + tonumber(t[2]) / 1000000
  end
  return script_time
end

-- A worker that took a job's follow-up has so long before another one may.
local FOLLOW_UP_S = 300

-- A call on a key that only our bookkeeping uses: what is of another type there gives way. Every other error is raised:
-- of a full memory, nothing may be deleted.
local function sure(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    if string.find(tostring(reply.err), 'WRONGTYPE', 1, true) then redis.call('DEL', key) end
    reply = redis.call(command, key, ...)
  end
  return reply
end

-- Sorted sets that jobs are put into and taken out of: at once, or where a script has many jobs (`gather`) at its end
-- (`write_gathered`), one command for each set.
local gathered

local function gather() gathered = {members = {}, entries = {}} end

local function take_out(key, member)
  if not gathered then return sure('ZREM', key, member) end
  local members = gathered.members[key] or {}
  gathered.members[key] = members
  members[#members + 1] = member
end

local function put_in(key, score, member)
  if not gathered then return sure('ZADD', key, score, member) end
  local entries = gathered.entries[key] or {}
  gathered.entries[key] = entries
  local n = #entries
  entries[n + 1], entries[n + 2] = score, member
end

-- A blob (an image on its way to a worker) and what it counts for.
local function forget_blob(digest)
  local bytes = tonumber(sure('HGET', 'mlxq:page_bytes', digest) or '')
  if bytes then
    sure('HINCRBY', 'mlxq:page_bytes', 'all', -bytes)
    sure('HDEL', 'mlxq:page_bytes', digest)
  end
  sure('ZREM', 'mlxq:pages', digest)
  redis.call('UNLINK', 'mlxq:page:' .. digest)
end

-- What all stored chats count for. It has a key of its own: no chat's id may name it.
local CHATS_USED = 'mlxq:chats_used'

local function chats_used() return tonumber(sure('GET', CHATS_USED) or '') or 0 end

-- A stored chat and what it counts for.
local function forget_chat(id)
  local bytes = tonumber(sure('HGET', 'mlxq:chat_bytes', id) or '')
  if bytes then
    sure('INCRBY', CHATS_USED, -bytes)
    sure('HDEL', 'mlxq:chat_bytes', id)
  end
  sure('ZREM', 'mlxq:chats', id)
  redis.call('UNLINK', 'mlxq:chat:' .. id)
end

-- One marker per queue says "there is work"; a worker that pops it claims, and puts it back if work is left.
local function wake(queue)
  local key = 'mlxq:wake:' .. queue
  if sure('LLEN', key) == 0 then
    redis.call('RPUSH', key, '1')
    redis.call('EXPIRE', key, 60)
  end
end

-- A job that was canceled while it waited stays in its queue's list: it is a tombstone. Whoever pops an id asks this,
-- and drops a tombstone; the answer is yes once.
local function is_tombstone(queue, id)
  return sure('SREM', 'mlxq:tombstones:' .. queue, id) == 1
end

-- Those at either end of the list leave it, at most MOST_TOMBSTONES an end: where nobody claims, they would gather.
-- Returns how many left.
local MOST_TOMBSTONES = 100

local function drop_tombstones(queue)
  if redis.call('EXISTS', 'mlxq:tombstones:' .. queue) == 0 then return 0 end
  local list, dropped = 'rq:queue:' .. queue, 0
  for pop, place in pairs({LPOP = 0, RPOP = -1}) do
    for _ = 1, MOST_TOMBSTONES do
      local id = redis.pcall('LINDEX', list, place)               -- an error where it is no list
      if type(id) ~= 'string' or not is_tombstone(queue, id) then break end
      redis.call(pop, list)
      dropped = dropped + 1
    end
  end
  return dropped
end

-- How many jobs wait in a queue.
local function waiting(queue)
  local length = redis.pcall('LLEN', 'rq:queue:' .. queue)        -- an error where it is no list
  return type(length) == 'number' and math.max(0, length - sure('SCARD', 'mlxq:tombstones:' .. queue)) or 0
end

-- How many jobs and bytes a queue was given so far.
local function admitted(queue)
  return tonumber(sure('HGET', 'mlxq:admitted', queue) or '') or 0, tonumber(sure('HGET', 'mlxq:admitted_bytes', queue) or '') or 0
end

-- In how many parts a job's data lies, 0 for a job in one piece. A record may say anything: no loop may be as long as that.
local MOST_PARTS = 4096                                           -- record.MOST_PARTS

local function parts_of(field)
  local parts = tonumber(field or '') or 0
  return parts > 0 and math.min(parts, MOST_PARTS) or 0           -- 0 also where it is no number
end

-- A job at a queue's tail gets the queue's next number, and how many bytes were put there before it. Jobs that go back
-- to the front keep theirs. So a place in the queue, and the bytes that wait, are differences to the job at the head.
local function number(queue, job_key)
  local parts = parts_of(redis.call('HGET', job_key, 'mlxq_parts'))
  local bytes = redis.call('HSTRLEN', job_key, 'data') + parts * 1048576    -- record.PART_BYTES, the last one not full
  local jobs, offset = admitted(queue)
  redis.call('HSET', job_key, 'mlxq_seq', jobs + 1, 'mlxq_offset', string.format('%d', offset))
  redis.call('HSET', 'mlxq:admitted', queue, jobs + 1)
  redis.call('HSET', 'mlxq:admitted_bytes', queue, string.format('%d', offset + bytes))
end

local HEADS = 10

-- The first job in a queue's list that is no tombstone and has a number (RQ's own enqueueing gives none), or nil.
local function head_of(queue)
  for n = 0, HEADS - 1 do
    local id = redis.call('LINDEX', 'rq:queue:' .. queue, n)
    if not id then return nil end
    local head = redis.pcall('HMGET', 'rq:job:' .. id, 'mlxq_seq', 'mlxq_offset')   -- an error where it is no hash
    local seq, offset = tonumber(head[1] or ''), tonumber(head[2] or '')
    if seq and offset and sure('SISMEMBER', 'mlxq:tombstones:' .. queue, id) == 0 then
      return {seq = seq, offset = offset}
    end
  end
  return nil
end

-- About how many bytes these waiting jobs have. Jobs that were given back to the front may have numbers from long ago:
-- then the numbers' distance is larger than the number of jobs, and their bytes are shared out.
local function waiting_bytes(queue, jobs)
  local head = jobs > 0 and head_of(queue)
  if not head then return 0 end
  local numbers, bytes = admitted(queue)
  return (bytes - head.offset) * math.min(1, jobs / math.max(1, numbers - head.seq + 1))
end

local LETTERS = {open = 'o', finished = 'f', failed = 'x', canceled = 'c'}

-- A job's member in mlxq:jobs:<queue>, in which equal scores sort by this: a letter for its state, then its id, which
-- begins with its time. Ids from elsewhere say no time, and are put before all others.
local function place(id)
  return #id == 31 and not string.find(id, '[^0-9a-f]') and id or '/' .. id
end

local function listed(state, id)
  return LETTERS[state] .. place(id)
end

local LISTS = 'mlxq:jobs:'

-- It was listed as ended, and not as open: RQ's own tools had it run again.
local function unlist_ended(key, at) redis.call('ZREM', key, 'f' .. at, 'x' .. at, 'c' .. at) end

-- A job has ended in this state; nil: its record is gone.
local function relist(queue, id, state)
  local key, at = LISTS .. queue, place(id)
  if take_out(key, 'o' .. at) == 0 then unlist_ended(key, at) end
  if state then put_in(key, '0', LETTERS[state] .. at) end
end

local function write_gathered()
  for key, members in pairs(gathered.members) do
    if sure('ZREM', key, unpack(members)) < #members and string.sub(key, 1, #LISTS) == LISTS then
      for _, member in ipairs(members) do unlist_ended(key, string.sub(member, 2)) end
    end
  end
  for key, entries in pairs(gathered.entries) do sure('ZADD', key, unpack(entries)) end
  gathered = nil
end

local function u32(n)
  return string.char(math.floor(n / 16777216) % 256, math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256)
end

-- Outcomes for waiting API processes, gathered so that each process gets one message per script run:
-- msgpack array32 of [str8 id, str8 status, bin32 body].
local function tell_channels(mail, channels, id, status, body)
  if channels and channels ~= '' and #id < 256 then
    local part = string.char(0x93, 0xd9, #id) .. id .. string.char(0xd9, #status) .. status ..
      string.char(0xc6) .. u32(#body) .. body
    for channel in string.gmatch(channels, '%S+') do
      local box = mail[channel]
      if not box then box = {}; mail[channel] = box end
      box[#box + 1] = part
    end
  end
end

local function post(mail)
  for channel, parts in pairs(mail) do
    redis.call('PUBLISH', channel, string.char(0xdd) .. u32(#parts) .. table.concat(parts))
  end
end

-- The leases of workers: {name: until}. What a worker holds is in mlxq:held:NAME, members id:execution in the order of their
-- claims; each of these executions is fenced by the job's own fields.
local LEASES = 'mlxq:leases'

local function held_key(worker) return 'mlxq:held:' .. worker end

-- Who may still write for the job: the execution that its record names, as long as it is started.
local function is_current(id, execution)
  local head = redis.pcall('HMGET', 'rq:job:' .. id, 'status', 'mlxq_execution')     -- an error where the record is no hash
  return not head.err and head[1] == 'started' and head[2] == execution
end

-- An execution's traces among ours, and in RQ's started registry.
local function drop_traces(queue, id, execution, worker)
  local member = id .. ':' .. execution
  take_out('rq:wip:' .. queue, member)
  take_out(held_key(worker), member)
end

-- The same where the job's record may name it, or a later one. RQ's records of executions: the last version wrote them.
local function drop_execution(queue, id, execution, worker)
  if redis.pcall('HGET', 'rq:job:' .. id, 'mlxq_execution') == execution then redis.call('HDEL', 'rq:job:' .. id, 'mlxq_execution') end
  redis.call('DEL', 'rq:execution:' .. id .. ':' .. execution)
  sure('ZREM', 'rq:executions:' .. id, execution)
  drop_traces(queue, id, execution, worker)
end

-- Its worker learns of it by its next RENEW, where the message to it is lost.
local function tell_dropped(worker, id, execution)
  local key = 'mlxq:dropped:' .. worker
  sure('SADD', key, id .. ':' .. execution)
  redis.call('EXPIRE', key, 3600)
end

-- Suspects: jobs that were in a worker at two deaths, or at one where the second would be the last (max_crashes 2). They run
-- apart from fresh jobs, a few at a time: at most one of them is at fault. Those that were in a worker at three deaths, or whose
-- next one would be the last, run alone: so nobody is failed in another one's place. They wait in mlxq:suspects:QUEUE, those
-- that run alone at its end; SUSPECTS is {queue: since when it has some, or when some were tried last}. One worker at a time has
-- the turn for a model's suspects: TURNS.
local SUSPECTS, TURNS = 'mlxq:suspects', 'mlxq:suspects_turns'

local function is_suspect(crashes, max_crashes)
  return crashes > 0 and crashes >= math.min(2, max_crashes - 1)
end

local function runs_alone(crashes, max_crashes)
  return crashes > 0 and crashes >= math.min(3, max_crashes - 1)
end

local function put_suspect(queue, id, crashes, max_crashes)
  sure(runs_alone(crashes, max_crashes) and 'RPUSH' or 'LPUSH', SUSPECTS .. ':' .. queue, id)
  sure('ZADD', SUSPECTS, 'NX', now(), queue)
end

-- Whether it had one.
local function end_turns(worker)
  local turns, had = sure('HGETALL', TURNS), false
  for n = 1, #turns, 2 do
    if turns[n + 1] == worker then
      redis.call('HDEL', TURNS, turns[n])
      had = true
    end
  end
  return had
end

-- All that the worker holds is put out of its reach, for RECLAIM: {names of such sets}. how: it 'died', or 'left'.
local LOST = 'mlxq:lost'

local function lose_held(worker, how)
  if redis.call('EXISTS', held_key(worker)) == 0 then return end
  local lost = string.format('%s:%s:%s:%.6f', LOST, how, worker, now())
  redis.call('RENAME', held_key(worker), lost)
  sure('RPUSH', LOST, lost)
end

local function take_lease(worker, how)
  lose_held(worker, how)
  end_turns(worker)
  sure('ZREM', LEASES, worker)
  redis.call('DEL', 'mlxq:claimed:' .. worker, 'mlxq:dropped:' .. worker)
end

-- Redis remembers when leases were last looked after. Where that is longer ago than half a lease, Redis or its machine may
-- have slept, or its clock was set: nobody's lease ends for a whole one then. Where time went back, what is left of each
-- lease stays the same. Returns the time, and whether leases may end.
local function look_after_leases(lease)
  local t = now()
  local clock = sure('HMGET', 'mlxq:clock', 'at', 'grace_until')
  local at, grace_until = tonumber(clock[1] or '') or t, tonumber(clock[2] or '') or 0
  if t < at then
    local leases = sure('ZRANGE', LEASES, 0, -1, 'WITHSCORES')
    for n = 1, #leases, 2 do redis.call('ZADD', LEASES, leases[n + 1] - (at - t), leases[n]) end
  end
  if t < at or t - at > lease / 2 then grace_until = t + lease end
  redis.call('HSET', 'mlxq:clock', 'at', string.format('%.6f', t), 'grace_until', string.format('%.6f', grace_until))
  return t, t >= grace_until
end

-- The number of the last event in a stream's log, 0 where there is none.
local function last_event(id)
  local last = sure('XREVRANGE', 'mlxq:stream:' .. id, '+', '-', 'COUNT', 1)[1]
  return last and tonumber(string.match(last[1], '^%d+')) or 0
end

local function has_dependents(job_key) return redis.call('EXISTS', job_key .. ':dependents') == 1 end

-- What an ended job still asks for, done by a worker through RQ: its dependents and webhooks (is_asked) and, if no worker
-- was there when it failed, its failure callback. They are due after delay_s. Returns whether there is any.
local function follow_up(job_key, id, is_asked, callback_owed, delay_s)
  if not (is_asked or callback_owed) then return false end
  if callback_owed then redis.call('HSET', job_key, 'mlxq_callback_owed', 1) end
  sure('ZADD', 'mlxq:followups', now() + delay_s, id)
  return true
end

-- Stands for an execution in the id of its result's entry, where it takes no room: the random beginning of its name.
local function tag(execution)
  return string.format('%d', tonumber(string.sub(execution, 1, 11), 16) or 0)
end

-- Whether the job's last result is of this execution.
local function has_result_of(id, execution)
  local last = sure('XREVRANGE', 'rq:results:' .. id, '+', '-', 'COUNT', 1)[1]
  return last and string.match(last[1], '-(%d+)$') == tag(execution)
end

-- An entry of RQ's stream of a job's results, of which RQ keeps ten. A stream takes 4 KB for entries to come; its copy
-- takes what is in it.
local function add_result(id, execution, ...)
  local key, at_ms, seq = 'rq:results:' .. id, math.floor(now() * 1000), tag(execution)
  local added = redis.pcall('XADD', key, 'MAXLEN', '10', string.format('%d-%s', at_ms, seq), ...)
  if added.err then                                               -- RQ has it run again, and time stood still or went back
    local last = sure('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    if last then at_ms = math.max(at_ms, tonumber(string.match(last[1], '^%d+')) + 1) end
    redis.call('XADD', key, 'MAXLEN', '10', string.format('%d-%s', at_ms, seq), ...)
  end
  redis.call('COPY', key, 'mlxq:new_result', 'REPLACE')
  redis.call('RENAME', 'mlxq:new_result', key)
end

-- What a job's end is decided by. status is nil where there is no record, and where the key is no hash.
local function read_record(job_key)
  local found = redis.pcall('HMGET', job_key, 'status', 'mlxq_execution', 'mlxq_parts', 'mlxq_waiters', 'mlxq_idem', 'mlxq_streams',
    'mlxq_version', 'mlxq_attempts', 'webhooks', 'failure_callback_name', 'failure_ttl', 'repeats_left')
  return {status = found[1], execution = found[2], parts = found[3], waiters = found[4], idem = found[5], streams = found[6],
    version = found[7], attempts = found[8], webhooks = found[9], failure_callback = found[10], failure_ttl = found[11],
    repeats_left = found[12]}
end

local function drop_parts(job_key, parts)
  redis.call('HDEL', job_key, 'mlxq_parts')
  for n = 0, parts - 1 do redis.call('HDEL', job_key, 'mlxq_data_' .. n) end
end

-- What nobody reads of a job that has finished or was canceled; UNASKED: if nothing is to follow for RQ's webhooks and
-- dashboards; NO_INPUTS: its data from then on, for RQ wants some (msgpack of {'mlxq.run', nil, {}, {}}).
local SPENT = {'mlxq_execution', 'last_heartbeat', 'timeout', 'result_ttl', 'failure_ttl', 'mlxq_cost', 'mlxq_waiters',
  'mlxq_seq', 'mlxq_offset'}
local UNASKED = {'description', 'enqueued_at', 'retries_left', 'retry_intervals'}
local READ_BY_ALL = {['1'] = true, ['2'] = true}              -- versions whose results are those of the first, as a record without one
local NO_INPUTS = '\148\168mlxq.run\192\144\128'

-- The record of such a job, without its inputs. record: what read_record gave.
local function write_ended(job_key, record, status, iso, followed_up)
  local spent = {unpack(SPENT)}
  if not followed_up then for _, name in ipairs(UNASKED) do spent[#spent + 1] = name end end
  if READ_BY_ALL[record.version] then spent[#spent + 1] = 'mlxq_version' end
  if record.attempts == '1' then spent[#spent + 1] = 'mlxq_attempts' end
  if record.parts then drop_parts(job_key, parts_of(record.parts)) end
  redis.call('HDEL', job_key, unpack(spent))
  redis.call('HSET', job_key, 'data', NO_INPUTS, 'status', status, 'ended_at', iso)
  -- A hash that held a long value takes more memory for ever, so it is made anew.
  if redis.pcall('OBJECT', 'ENCODING', job_key) == 'hashtable' then
    local fields = redis.call('HGETALL', job_key)
    redis.call('DEL', job_key)
    redis.call('HSET', job_key, unpack(fields))
  end
end

-- While its job waits or runs, an idempotency key lives for OPEN_KEY_S (ADMIT): else it stayed for ever where others delete the
-- job. From the job's end on it lives as long as the result, and its own ttl at least.
local function end_idempotency(idem, id, ttl)
  local named = redis.pcall('HMGET', idem, 'job', 'ttl')
  if named.err or named[1] ~= id then return end
  redis.call('HSET', idem, 'ended', 1)
  if ttl < 0 then
    redis.call('PERSIST', idem)
  else
    redis.call('EXPIRE', idem, math.max(ttl, tonumber(named[2] or '') or 0))
  end
end

-- A command whose reply was lost is sent again within so long. ADMIT knows for as long by mlxq:ended:ID that a job was there
-- whose record is kept for less.
local RESEND_S = 60

-- What becomes of a job that ended as finished, failed (or stopped) or canceled.
-- ttl as in RQ: -1 keeps for ever, 0 deletes at once, but for an hour if something is to follow. record: what read_record gave.
local function keep(job_key, id, queue, state, ttl, followed_up, record)
  if ttl == 0 and followed_up then ttl = 3600 end
  if ttl >= 0 and ttl < RESEND_S then redis.call('SET', 'mlxq:ended:' .. id, '', 'EX', RESEND_S) end
  if record.idem then end_idempotency(record.idem, id, ttl) end
  relist(queue, id, ttl ~= 0 and state or nil)
  if ttl == 0 then
    redis.call('DEL', job_key, 'rq:results:' .. id, 'mlxq:stream:' .. id)
    return
  end
  local registry = 'rq:' .. state .. ':' .. queue
  if ttl < 0 then
    redis.call('PERSIST', job_key)
    redis.call('PERSIST', 'rq:results:' .. id)
    if record.streams then redis.call('PERSIST', 'mlxq:stream:' .. id) end
    put_in(registry, '+inf', id)
    return
  end
  local seconds = string.format('%d', ttl)                        -- Redis takes five times as long to write a number down
  redis.call('EXPIRE', job_key, seconds)
  redis.call('EXPIRE', 'rq:results:' .. id, seconds)
  if record.streams then redis.call('EXPIRE', 'mlxq:stream:' .. id, seconds) end
  put_in(registry, string.format('%d', math.ceil(now()) + ttl), id)
end

-- A large result is written before its job ends, for a day; from then on it is kept as long as its job. Whoever waits
-- for a job that is not kept has a minute to read it.
local function beside_key(execution) return 'mlxq:blob:' .. execution end

local function keep_beside(execution, ttl)
  local key = beside_key(execution)
  if ttl < 0 then redis.call('PERSIST', key) else redis.call('EXPIRE', key, ttl + 60) end
end

local LONGEST_TTL_S = 4000000000                                  -- Redis takes no time that ends in thousands of centuries

local function failure_ttl(record)
  local ttl = tonumber(record.failure_ttl or '')
  if not ttl or not (ttl >= -1 and ttl <= LONGEST_TTL_S) then return 31536000 end   -- RQ's default: a year
  return math.floor(ttl)
end

-- A final failure: RQ reads exc_string (base64 of zlib), we read failure (msgpack). Without a worker its callback has
-- not run yet. record: what read_record gave. status: failed, if it is not told. Returns whether something is to follow.
local function fail(mail, queue, id, record, iso, worker, execution, exc_string, failure, status)
  local job_key = 'rq:job:' .. id
  add_result(id, execution, 'type', 2, 'worker_name', worker, 'exc_string', exc_string, 'failure', failure)
  tell_channels(mail, record.waiters, id, 'failed', failure)
  local callback_owed = worker == '' and record.failure_callback
  if record.parts then drop_parts(job_key, parts_of(record.parts)) end    -- nobody reads a large job's text again
  local is_asked = record.webhooks or has_dependents(job_key)
  local followed_up = follow_up(job_key, id, is_asked, callback_owed, worker == '' and 0 or FOLLOW_UP_S)
  redis.call('HSET', job_key, 'status', status or 'failed', 'ended_at', iso)
  keep(job_key, id, queue, 'failed', failure_ttl(record), followed_up, record)
  return followed_up
end
