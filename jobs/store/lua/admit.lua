-- ADMIT: take jobs into their queues. Idempotent by job id, so that a client may repeat a call whose reply was lost.
-- ARGV: limit, idempotency_ttl_s, count, then per job:
--   id, queue, ttl_s ('' waits for ever), idempotency key ('' for none), fingerprint, 2 * fields, field, value, …
-- Returns per job {verdict, value}: created/existing/conflict + job id, full + queue length.
deny_oom()
local limit, idempotency_ttl, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local at, verdicts = 4, {}
for n = 1, count do
  local id, queue, ttl, idem, fingerprint, width = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[at + 5])
  local first = at + 6
  at = first + width
  local job_key, queue_key = 'rq:job:' .. id, 'rq:queue:' .. queue
  local verdict
  if idem ~= '' then
    local seen = redis.call('HMGET', idem, 'job', 'fingerprint')
    if seen[1] and redis.call('EXISTS', 'rq:job:' .. seen[1]) == 1 and seen[1] ~= id then
      if seen[2] == fingerprint then verdict = {'existing', seen[1]} else verdict = {'conflict', seen[1]} end
    end
  end
  if not verdict and redis.call('HEXISTS', job_key, 'status') == 1 then verdict = {'created', id} end
  if not verdict then
    local length = redis.call('LLEN', queue_key)
    if length >= limit then verdict = {'full', tostring(length)} end
  end
  if not verdict then
    redis.call('HSET', job_key, unpack(ARGV, first, first + width - 1))
    redis.call('PERSIST', job_key)                                -- a large job's parts are there before it
    if ttl ~= '' then redis.call('HSET', job_key, 'mlxq_expires_at', string.format('%.3f', now() + tonumber(ttl))) end
    redis.call('SADD', 'rq:queues', queue_key)
    redis.call('RPUSH', queue_key, id)
    if idem ~= '' then
      redis.call('HSET', idem, 'job', id, 'fingerprint', fingerprint)
      redis.call('EXPIRE', idem, idempotency_ttl)
    end
    wake(queue)
    verdict = {'created', id}
  end
  if verdict[1] ~= 'created' then redis.call('DEL', job_key) end
  verdicts[n] = verdict
end
return verdicts
