-- Before a reading: the kept answer, or whose reading to follow, or a lease.
-- KEYS: value, lease, failure, generation, pause, refusal. Tokens are the server's time when a reading began.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local fresh, joined, distrusted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local known, inline_max, value_max = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local replica, lease_ms = ARGV[7], tonumber(ARGV[8])
local function number(text)
  if type(text) == 'string' and #text <= 16 and string.find(text, '^%d+$') then return tonumber(text) end
end
local generation = number(redis.call('GET', KEYS[4])) or 0
-- No clock comes that far, and larger numbers would not be exact.
if generation > 9000000000000000 then generation = 0 end
if generation < known then
  generation = known
  redis.call('SET', KEYS[4], string.format('%.0f', known), 'PX', 86400000)
end
local pause, refusal = redis.call('PTTL', KEYS[5]), redis.call('PTTL', KEYS[6])
local function answer(kind, token, age, payload)
  return {kind, string.format('%.0f', token), age, payload, generation, pause, refusal}
end
local stored = redis.pcall('HGET', KEYS[1], 't')
if type(stored) == 'table' then
  if not string.find(stored.err or '', 'WRONGTYPE', 1, true) then return stored end
  -- Another kind of key has this name.
  redis.call('DEL', KEYS[1])
end
local token = number(stored)
if token and token > now + 1000000 then
  -- The server's clock went back: nobody can tell how old this is.
  redis.call('DEL', KEYS[1])
  token = nil
end
if token and token ~= distrusted then
  local is_wanted = now - token <= fresh
  if joined > 0 then is_wanted = token >= joined end
  local size = redis.call('HSTRLEN', KEYS[1], 'e')
  if is_wanted and size > 0 and size <= value_max then
    if size > inline_max then return answer(2, token, now - token, string.format('%.0f', size)) end
    return answer(1, token, now - token, redis.call('HGET', KEYS[1], 'e'))
  end
end
local failed = redis.call('HGET', KEYS[3], 't')
local failure = number(failed)
if failure and failure ~= distrusted and failure <= now + 1000000 and (joined == 0 or failure >= joined) then
  local size = redis.call('HSTRLEN', KEYS[3], 'e')
  if size > 0 and size <= 4096 then return answer(3, failure, now - failure, redis.call('HGET', KEYS[3], 'e')) end
end
local lease = redis.call('GET', KEYS[2])
if type(lease) == 'string' then
  local leased = number(string.match(lease, '^(%d+):'))
  if leased then
    -- The mark tells the replica that reads that another one follows.
    if string.sub(lease, -2) ~= ':f' then redis.call('SET', KEYS[2], lease .. ':f', 'KEEPTTL') end
    return answer(4, leased, 0, '')
  end
end
local own = now
if token and own <= token then own = token + 1 end
redis.call('SET', KEYS[2], string.format('%.0f', own) .. ':' .. replica, 'PX', lease_ms)
return answer(5, own, 0, '')
