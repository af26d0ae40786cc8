-- wrk -s paced.lua URL -- PAUSE_MS
-- The same request on every connection, with a pause after each answer: load below what would saturate the target.
local pause = 0

function init(arguments)
  pause = tonumber(arguments[1])
end

function delay()
  return pause
end
