-- Writes blobs of 4 KiB, a new one each time: `wrk -s put.lua URL -- PATH QUERY RUN`.
local path, query, run, at = "", "", "", 0
local body = string.rep("0123456789abcdef", 256)
local headers = { ["x-ms-blob-type"] = "BlockBlob", ["Content-Length"] = "4096" }

function init(args)
  path, query, run = args[1], args[2], args[3]
end

function request()
  at = at + 1
  return wrk.format("PUT", path .. run .. "-" .. at .. query, headers, body)
end
