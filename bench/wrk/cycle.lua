-- wrk -s cycle.lua URL -- FILE [once]
-- Sends the requests of FILE in order, over all connections of a thread: one "PATH TOKEN" or "PATH TOKEN HOST" a line.
-- Without `once` it begins anew at the end; with it, wrk ends there (use one thread), so that no token is sent twice.
local ffi = require("ffi")
ffi.cdef("int getpid(void); int kill(int pid, int signal);")
local SIGINT = 2 -- ends wrk early, as control-C does: it still prints its report, over the time that has passed

local requests, sent, once = {}, 0, false

function init(arguments)
  once = arguments[2] == "once"
  for line in io.lines(arguments[1]) do
    local path, token, host = line:match("^(%S+) (%S+) ?(%S*)$")
    wrk.headers["Authorization"] = "Bearer " .. token
    wrk.headers["Host"] = host ~= "" and host or wrk.headers["Host"]
    requests[#requests + 1] = wrk.format(nil, path)
  end
end

function request()
  sent = sent + 1
  if once and sent == #requests then
    wrk.thread:stop()
    ffi.C.kill(ffi.C.getpid(), SIGINT)
  end
  return requests[(sent - 1) % #requests + 1]
end
