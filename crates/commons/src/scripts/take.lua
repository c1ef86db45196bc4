-- The law of places, a second time (law.rs says it first). KEYS: the number. Only durations leave this script.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst, want, horizon = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local pause, known = tonumber(ARGV[5]), tonumber(ARGV[6])
local alone, look = ARGV[7] == '1', ARGV[8] == '1'
local stored = redis.pcall('GET', KEYS[1])
-- A key of another kind is no number; any other refusal, such as of a right, is no answer.
if type(stored) == 'table' and not string.find(stored.err or '', 'WRONGTYPE', 1, true) then return stored end
local place, reset = now, 0
if type(stored) == 'string' and #stored <= 16 and string.find(stored, '^%d+$') then
  place = tonumber(stored)
  if place > now + 3600000000 then
    place, reset = now, 1
  end
end
if alone and place < now then place = now end
if known > 0 and place < now + known then place = now + known end
local start = now + pause
if place < start - burst then place = start - burst end
local last = place + interval * (want - 1)
if last < start then last = start end
local taken, after = 0, place
if last < now + horizon then
  taken = 1
  if not look then
    after = place + interval * want
    redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', 604800000)
  end
end
local ahead = after - now
if ahead < 0 then ahead = 0 end
return {taken, place - now, ahead, reset}
