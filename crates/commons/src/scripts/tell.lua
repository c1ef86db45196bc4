-- A pause or a refusal. KEYS: pause or refusal, generation. ARGV: for how long (ms), whether it raises the generation.
-- A pause is never shortened. The generation is the server's time, so that it only grows.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local lasts = tonumber(ARGV[1])
if lasts > 0 and redis.call('PTTL', KEYS[1]) < lasts then redis.call('SET', KEYS[1], '1', 'PX', lasts) end
local stored = redis.call('GET', KEYS[2])
local generation = 0
if type(stored) == 'string' and #stored <= 16 and string.find(stored, '^%d+$') then generation = tonumber(stored) end
-- No clock comes that far, and larger numbers would not be exact.
if generation > 9000000000000000 then generation = 0 end
if ARGV[2] == '1' then
  if generation < now then generation = now else generation = generation + 1 end
  redis.call('SET', KEYS[2], string.format('%.0f', generation), 'PX', 86400000)
end
return generation
