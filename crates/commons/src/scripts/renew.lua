-- Whether the lease is still ours; if so, for longer. KEYS: lease. ARGV: token, replica, for how long (ms).
local own = ARGV[1] .. ':' .. ARGV[2]
local lease = redis.call('GET', KEYS[1])
if lease == own or lease == own .. ':f' then
  redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[3]))
  return 1
end
return 0
