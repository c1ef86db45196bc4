-- For wrk: lists users with a pause between two requests of a connection, and compares every answer
-- byte by byte. EXPECTED is the file with the answer, DELAY_MS the pause (none: as fast as it goes).
local file = io.open(os.getenv("EXPECTED"), "rb")
local expected = file:read("*a")
file:close()
local pause = tonumber(os.getenv("DELAY_MS"))
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init()
    good, bad = 0, 0
    wrk.headers["authorization"] = "Bearer legacy-demo-key"
end

if pause then
    function delay()
        return pause
    end
end

function response(status, headers, body)
    if status == 200 and body == expected then
        good = good + 1
    else
        bad = bad + 1
    end
end

function done(summary, latency)
    local good, bad, errors = 0, 0, summary.errors
    for _, thread in ipairs(threads) do
        good, bad = good + thread:get("good"), bad + thread:get("bad")
    end
    print(string.format("whole=%d wrong=%d connect=%d read=%d write=%d timeout=%d p50_ms=%.1f p99_ms=%.1f",
        good, bad, errors.connect, errors.read, errors.write, errors.timeout,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
