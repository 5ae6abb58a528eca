-- LEAVE: a worker ends, and so does its lease. What it still holds goes back by the next RECLAIM of any worker.
-- ARGV: worker, 'left' if it ends in good order: no crash of its jobs; 'died' if not.
allow_oom()
local worker, how = ARGV[1], ARGV[2]
redis.call('DEL', 'mlxq:worker:' .. worker)
take_lease(worker, how)
