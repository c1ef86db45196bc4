-- One more piece of news. KEYS: news. ARGV: the piece, how many are kept.
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'n', ARGV[1])
redis.call('PEXPIRE', KEYS[1], 3600000)
return 1
