--- `make dist`, in a repository of the spec's own. `make deb` builds and tries the packages.

local co = require "coropanic"

local function run(command)
  local pipe <close> = assert(io.popen(("env -u LD_PRELOAD sh -c '%s' 2>&1"):format(command)))
  return (pipe:read "a":gsub("\n$", ""))
end

describe("make dist", function()
  local repository

  --- Makes what dist looks at the contents of HEAD there.
  local function commit(minute)
    local date = ("2026-01-01T00:%02d:00Z"):format(minute)
    return run(("cd %s && git add -A && GIT_AUTHOR_DATE=%s GIT_COMMITTER_DATE=%s git -c user.name=x "
      .. "-c user.email=x@localhost commit -q -m dist"):format(repository, date, date))
  end

  local function dist(version)
    return run(("VERSION=%s %s/scripts/dist.sh"):format(version or co._VERSION, repository))
  end

  before_each(function()
    repository = run "mktemp -d"
    local files = ".ci .gitignore CHANGELOG.md Makefile csrc/coropanic.h debian scripts/dist.sh *.rockspec"
    run(("cp -r --parents %s %s"):format(files, repository))
    run(("git init -q %s"):format(repository))
    assert.equal("", commit(0))
  end)

  after_each(function() run("rm -rf " .. repository) end)

  it("makes the same bytes of the same commit, whatever lies beside it", function()
    local first = dist()
    assert.matches("^%x+  coropanic%-" .. co._VERSION:gsub("%.", "%%.") .. "%.tar%.gz$", first)
    run(("touch %s/Makefile %s/other"):format(repository, repository))
    assert.equal(first, dist())
  end)

  it("packs what belongs to a release, in one folder", function()
    dist()
    local name = "coropanic-" .. co._VERSION
    local list = run(("tar -tzf %s/build/dist/%s.tar.gz"):format(repository, name))
    assert.matches(name .. "/csrc/coropanic.h", list, 1, true)
    for line in list:gmatch "[^\n]+" do
      assert.equal(name .. "/", line:sub(1, #name + 1))
      assert.is_nil(line:find("/debian/", 1, true) or line:find("/.ci/", 1, true))
    end
  end)

  it("refuses a version that a file does not know", function()
    assert.matches("dist: csrc/coropanic.h is not about version 9.8.7", dist "9.8.7", 1, true)
    local rockspec = ("coropanic-%s-1.rockspec"):format(co._VERSION)
    for _, name in ipairs { "CHANGELOG.md", "debian/changelog", rockspec } do
      run(("cp %s/%s %s/kept && echo nothing > %s/%s"):format(repository, name, repository, repository, name))
      commit(1)
      assert.matches(("dist: %s is not about version %s"):format(name, co._VERSION), dist(), 1, true)
      run(("mv %s/kept %s/%s"):format(repository, repository, name))
      commit(2)
    end
  end)

  it("says that it needs git", function()
    run(("rm -rf %s/.git"):format(repository))
    assert.matches("dist: a tarball is made from git's HEAD", dist(), 1, true)
  end)
end)
