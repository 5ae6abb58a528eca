-- RENEW: a worker lives. It extends its lease, which must be there: CLAIM begins one.
-- ARGV: worker, lease_s, then members (id:execution) that it has been told to drop and has dropped.
-- Returns {1, members that it is to drop, at most MOST, how many it holds}; {0, {}, 0} where it has no lease: whatever it held is
--   not its own any more.
allow_oom()
local MOST = 500
local worker, lease = ARGV[1], tonumber(ARGV[2])
local t = look_after_leases(lease)
local dropped_key = 'mlxq:dropped:' .. worker
if #ARGV > 2 then sure('SREM', dropped_key, unpack(ARGV, 3)) end
if not sure('ZSCORE', LEASES, worker) then return {0, {}, 0} end
redis.call('ZADD', LEASES, t + lease, worker)
return {1, sure('SRANDMEMBER', dropped_key, MOST), sure('ZCARD', held_key(worker))}
