-- A value too large for the first answer, if it is still the same one. KEYS: value. ARGV: token, most bytes.
if redis.call('HGET', KEYS[1], 't') == ARGV[1] and redis.call('HSTRLEN', KEYS[1], 'e') <= tonumber(ARGV[2]) then
  return redis.call('HGET', KEYS[1], 'e')
end
return false
