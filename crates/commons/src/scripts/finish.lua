-- After a reading: stored under the own lease only; a value also where nobody holds one and nothing newer is stored.
-- KEYS: where it is stored (value or failure), lease, value. ARGV: token, replica, kept for (ms, 0 stores nothing), bytes.
local token = tonumber(ARGV[1])
local lease = redis.call('GET', KEYS[2])
local word = ARGV[1] .. ':' .. ARGV[2]
local own = lease == word or lease == word .. ':f'
if type(lease) == 'string' and not own then return 0 end
-- Nothing shows whether another one has read it well meanwhile.
if not own and KEYS[1] ~= KEYS[3] then return 0 end
if own then redis.call('DEL', KEYS[2]) end
local kept_for = tonumber(ARGV[3])
if kept_for <= 0 then return 0 end
local stored = redis.call('HGET', KEYS[3], 't')
if type(stored) == 'string' then
  local newer = tonumber(stored)
  if newer and newer >= token then return 0 end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 't', ARGV[1], 'e', ARGV[4])
redis.call('PEXPIRE', KEYS[1], kept_for)
return 1
