-- LOAD: take the turn to load a model. One worker loads, and the others wait as long as it lives and gets on.
-- A worker notes when it began and when it last got on (mlxq:loading:MODEL), and removes its own note alone. So the notes
-- of workers that died stay, and tell which machine dies of the model.
-- ARGV: worker, model, seconds without progress after which a load counts as stuck, seconds for which a death is remembered.
-- Repeated (its reply was lost), it gives the same answer.
-- Returns {the worker whose turn it is ('': this one's), {worker that died in its load, seconds since it began, …}}.
deny_oom()
local worker, stuck, remembered = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local key = 'mlxq:loading:' .. ARGV[2]
local t, loader, deaths = now(), '', {}
local notes = sure('HGETALL', key)
for n = 1, #notes, 2 do
  local other = notes[n]
  local began, got_on = string.match(notes[n + 1], '^(%S+) (%S+)$')
  began, got_on = tonumber(began or ''), tonumber(got_on or '')
  if not began or not got_on then
    redis.call('HDEL', key, other)
  elseif other ~= worker then
    if redis.call('EXISTS', 'mlxq:worker:' .. other) == 1 then
      if t - got_on < stuck then loader = other end
    elseif t - began > remembered then
      redis.call('HDEL', key, other)
    else
      deaths[#deaths + 1] = other
      deaths[#deaths + 1] = string.format('%.3f', t - began)
    end
  end
end
if loader == '' then
  redis.call('HSET', key, worker, string.format('%.3f %.3f', t, t))
  redis.call('EXPIRE', key, remembered)
end
return {loader, deaths}
