-- SWEEP: drop entries of a queue's ended jobs that have expired, from RQ's registries and from our list, and mend what
-- RQ's own tools have left of that list. ARGV: queue, most.  Returns 1 if there is more to do.
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
end
if wrong * 4 > most then more = 1 end
return more
