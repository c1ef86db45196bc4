-- Whether the lease is still ours; if so, for longer. KEYS: lease. ARGV: token, replica, for how long (ms).
if redis.call('GET', KEYS[1]) == ARGV[1] .. ':' .. ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[3]))
  return 1
end
return 0
