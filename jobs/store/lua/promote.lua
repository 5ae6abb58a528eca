-- PROMOTE: retries whose delay is over go back to their queues. ARGV: queue, …  Returns how many.
allow_oom()
local t, moved = now(), 0
for _, queue in ipairs(ARGV) do
  local list, registry = 'rq:queue:' .. queue, 'rq:scheduled:' .. queue
  -- Where somebody else keeps something under the list's name, its retries stay due.
  local is_list = type(redis.pcall('LLEN', list)) == 'number'
  for _, id in ipairs(is_list and sure('ZRANGEBYSCORE', registry, '-inf', t, 'LIMIT', 0, 500) or {}) do
    redis.call('ZREM', registry, id)
    if redis.pcall('HGET', 'rq:job:' .. id, 'status') == 'scheduled' then
      redis.call('HSET', 'rq:job:' .. id, 'status', 'queued')
      number(queue, 'rq:job:' .. id)
      redis.call('RPUSH', list, id)
      wake(queue)
      moved = moved + 1
    end
  end
end
return moved
