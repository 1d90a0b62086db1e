-- Reads blobs of 4 KiB, one of many each time: `wrk -s get.lua URL -- PATH QUERY N`.
local path, query, n, at = "", "", 1, 0

function init(args)
  path, query, n = args[1], args[2], tonumber(args[3])
  at = math.random(n)
end

function request()
  at = at % n + 1
  return wrk.format("GET", path .. at .. query)
end
