-- RENEW: extend the leases still held. ARGV: lease_s, member (id:execution), …  Returns the members no longer held.
allow_oom()
local until_ = now() + tonumber(ARGV[1])
local lost = {}
for at = 2, #ARGV do
  if redis.call('ZSCORE', 'mlxq:leases', ARGV[at]) then
    redis.call('ZADD', 'mlxq:leases', 'XX', until_, ARGV[at])
  else
    lost[#lost + 1] = ARGV[at]
  end
end
return lost
