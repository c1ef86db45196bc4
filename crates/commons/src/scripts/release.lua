-- After a reading whose answer nobody takes later: 1 where another replica waits for it, and it must be stored soon.
-- KEYS: lease. ARGV: token, replica, for how long (ms).
local own = ARGV[1] .. ':' .. ARGV[2]
local lease = redis.call('GET', KEYS[1])
if lease == own .. ':f' then
  redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[3]))
  return 1
end
if lease == own then redis.call('DEL', KEYS[1]) end
return 0
