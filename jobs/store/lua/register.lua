-- REGISTER: a worker says which files its models are. All live workers must have the same ones under a name.
-- ARGV: worker, lease_s, then per model: name, digest.
-- A worker that has not announced itself yet counts as one that starts, so that of two that start at once one is told.
-- Returns {model, another worker, its digest} of the first conflict, and registers nothing then; else nothing.
allow_oom()
local KEEP_S = 3600
local worker, lease, t = ARGV[1], tonumber(ARGV[2]), now()

local function lives(other)
  if redis.call('EXISTS', 'mlxq:worker:' .. other) == 1 then return true end
  local starts_until = sure('ZSCORE', 'mlxq:starting', other)
  return starts_until and tonumber(starts_until) > t
end

for at = 3, #ARGV, 2 do
  local key = 'mlxq:digests:' .. ARGV[at]
  local found = sure('HGETALL', key)
  for n = 1, #found, 2 do
    if found[n] ~= worker then
      if not lives(found[n]) then
        redis.call('HDEL', key, found[n])
      elseif found[n + 1] ~= ARGV[at + 1] then
        return {ARGV[at], found[n], found[n + 1]}
      end
    end
  end
end
for at = 3, #ARGV, 2 do
  redis.call('HSET', 'mlxq:digests:' .. ARGV[at], worker, ARGV[at + 1])
  redis.call('EXPIRE', 'mlxq:digests:' .. ARGV[at], KEEP_S)
end
if #ARGV > 2 and redis.call('EXISTS', 'mlxq:worker:' .. worker) == 0 then
  sure('ZADD', 'mlxq:starting', t + lease, worker)
end
return false
