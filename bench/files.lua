-- What the benchmark writes.

local files = {}

--- Writes a file, and makes the directory that it is in.
function files.write(path, text)
  local directory = path:match "^(.*)/"
  if directory then assert(os.execute(("mkdir -p '%s'"):format(directory))) end
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

local BEGIN, END = "<!-- made by `make bench`: begin %s -->", "<!-- made by `make bench`: end %s -->"

--- Replaces the part of a document between the markers with that name.
function files.splice(path, name, made)
  local file <close> = assert(io.open(path))
  local text = file:read "a"
  local _, first = text:find(BEGIN:format(name), 1, true)
  local last = text:find(END:format(name), 1, true)
  if not (first and last and first < last) then
    error(("%s: the markers of %s are gone"):format(path, name), 0)
  end
  files.write(path, ("%s\n%s\n%s"):format(text:sub(1, first), made, text:sub(last)))
end

return files
