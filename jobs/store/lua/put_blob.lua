-- PUT_BLOB: room for a blob, before its parts are written beside this script. Idempotent by digest.
-- ARGV: digest, bytes, parts, ttl_s, most bytes. Returns {write (its parts are to be written), there or full, bytes of all}.
deny_oom()
local digest, bytes, parts, ttl, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local key, TIMES, SIZES = 'mlxq:page:' .. digest, 'mlxq:pages', 'mlxq:page_bytes'
local MOST_FORGOTTEN = 100

for _, over in ipairs(sure('ZRANGEBYSCORE', TIMES, '-inf', now(), 'LIMIT', 0, MOST_FORGOTTEN)) do
  forget_blob(over)
end
local used = tonumber(sure('HGET', SIZES, 'all') or '') or 0
local has = tonumber(sure('HGET', SIZES, digest) or '')
if not has then
  if used > 0 and used + bytes > most then return {'full', used} end
  used = sure('HINCRBY', SIZES, 'all', bytes)
  sure('HSET', SIZES, digest, bytes)
end
sure('ZADD', TIMES, now() + ttl, digest)
if sure('HLEN', key) == parts then
  redis.call('EXPIRE', key, ttl)
  return {'there', used}
end
redis.call('DEL', key)
return {'write', used}
