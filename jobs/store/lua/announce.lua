-- ANNOUNCE: a worker lives, and serves these models. A full Redis takes it: else nobody would know that it lives.
-- ARGV: worker, lease in ms, what it says about itself, then per model: id, announcement.
allow_oom()
-- RQ's record of it would be renewed by a command that a full Redis refuses, and without it the worker is in no list.
redis.call('EXPIRE', 'rq:worker:' .. ARGV[1], math.max(10, math.floor(ARGV[2] * 3 / 1000)))
redis.call('SET', 'mlxq:worker:' .. ARGV[1], ARGV[3], 'PX', ARGV[2])
sure('ZREM', 'mlxq:starting', ARGV[1])
for at = 4, #ARGV, 2 do sure('HSET', 'mlxq:models', ARGV[at], ARGV[at + 1]) end
