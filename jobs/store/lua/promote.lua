-- PROMOTE: retries whose delay is over go back to their queues. ARGV: queue, …  Returns how many.
allow_oom()
local t, moved = now(), 0
for _, queue in ipairs(ARGV) do
  local registry = 'rq:scheduled:' .. queue
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', registry, '-inf', t, 'LIMIT', 0, 500)) do
    redis.call('ZREM', registry, id)
    if redis.call('HGET', 'rq:job:' .. id, 'status') == 'scheduled' then
      redis.call('HSET', 'rq:job:' .. id, 'status', 'queued')
      number(queue, 'rq:job:' .. id)
      redis.call('RPUSH', 'rq:queue:' .. queue, id)
      wake(queue)
      moved = moved + 1
    end
  end
end
return moved
