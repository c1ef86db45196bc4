-- Once a second for each replica: it is here, who else is, and the news since the last time.
-- KEYS: members, news. ARGV: this replica as a member, as a member until now, id of the last news, silent for so long
-- means gone (ms), most news in an answer, most members in an answer.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local silence = tonumber(ARGV[4])
if ARGV[2] ~= ARGV[1] then redis.call('ZREM', KEYS[1], ARGV[2]) end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - silence))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now + silence), '+inf')
redis.call('PEXPIRE', KEYS[1], 60000)
local answer = {redis.call('ZCARD', KEYS[1]), redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[6]) - 1)}
local last = ARGV[3]
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if newest and last ~= '0' then
  -- A stream that began again behind what we know: the server lost it, and its clock went back.
  local ms, seq = string.match(newest[1], '^(%d+)-(%d+)$')
  local last_ms, last_seq = string.match(last, '^(%d+)-(%d+)$')
  if not last_ms or tonumber(ms) < tonumber(last_ms) or (ms == last_ms and tonumber(seq) < tonumber(last_seq)) then
    last = '0'
  end
end
local from = '-'
if last ~= '0' then from = '(' .. last end
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', tonumber(ARGV[5]))) do
  local ms = string.match(entry[1], '^(%d+)-')
  answer[#answer + 1] = entry[1]
  answer[#answer + 1] = now - tonumber(ms)
  answer[#answer + 1] = entry[2][2]
end
return answer
