-- POSITION: how many jobs wait before this one, also those that were canceled meanwhile; never more than wait at all.
-- ARGV: id, queue.  Returns the number, or false where it cannot be said.
local id, queue = ARGV[1], ARGV[2]
local head, own = head_of(queue), tonumber(redis.call('HGET', 'rq:job:' .. id, 'mlxq_seq') or '')
if head and own then return math.max(0, math.min(own - head.seq, waiting(queue) - 1)) end
return redis.call('LPOS', 'rq:queue:' .. queue, id, 'MAXLEN', 1000)   -- RQ itself enqueued it
