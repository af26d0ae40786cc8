-- wrk -s upload.lua URL -- BYTES
-- POSTs a body of this many bytes.
function init(arguments)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.body = ("x"):rep(tonumber(arguments[1]))
end
