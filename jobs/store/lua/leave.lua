-- LEAVE: a worker ends. What it still holds goes back when its lease ends, else the lease ends now. ARGV: worker.
allow_oom()
local worker = ARGV[1]
redis.call('DEL', 'mlxq:worker:' .. worker)
end_turns(worker)
if redis.call('EXISTS', held_key(worker)) == 0 then
  sure('ZREM', LEASES, worker)
  redis.call('DEL', 'mlxq:claimed:' .. worker, 'mlxq:dropped:' .. worker)
end
