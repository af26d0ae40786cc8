-- wrk -s flood.lua URL -- FILE PAUSE_MS
-- The tokens of FILE ("PATH TOKEN" a line), each time with another wrong signature, so that no answer can be remembered.
-- Every connection pauses between its requests: connections / PAUSE_MS bounds the rate.
local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
local heads, tails, sent, pause = {}, {}, 0, 0
local MARK = 8 -- base64url digits of the signature that are overwritten

function init(arguments)
  pause = tonumber(arguments[2])
  for line in io.lines(arguments[1]) do
    local path, signed, first, rest = line:match("^(%S+) ([^.]+%.[^.]+%.)(" .. ("."):rep(100) .. ")(%S+)$")
    wrk.headers["Authorization"] = "Bearer " .. signed .. first .. "@" .. rest:sub(MARK + 1)
    local request = wrk.format(nil, path)
    local at = request:find("@", 1, true)
    heads[#heads + 1], tails[#tails + 1] = request:sub(1, at - 1), request:sub(at + 1)
  end
end

local function digits(number)
  local text = ""
  for _ = 1, MARK do
    local digit = number % 64
    text, number = text .. DIGITS:sub(digit + 1, digit + 1), (number - digit) / 64
  end
  return text
end

function request()
  sent = sent + 1
  local which = sent % #heads + 1
  return heads[which] .. digits(sent) .. tails[which]
end

function delay()
  return pause
end
