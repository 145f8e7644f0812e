#!/bin/bash
# Makes build/dist/coropanic-$VERSION.tar.gz, the source of a release, of HEAD. The same commit makes the same bytes.
# Refuses if a file gives another version.
set -euo pipefail
cd "$(dirname "$0")/.."
name=coropanic-$VERSION

has() { # file pattern
  # Not -q, which ends before git has written all: then git fails, and the pipe with it.
  git show "HEAD:$1" 2>/dev/null | grep -E "$2" >/dev/null || {
    echo "dist: $1 is not about version $VERSION: no line matches $2" >&2
    exit 1
  }
}
git rev-parse --quiet --verify HEAD >/dev/null || { echo "dist: a tarball is made from git's HEAD" >&2; exit 1; }
pattern=${VERSION//./\\.}
has csrc/coropanic.h "^#define CP_VERSION \"$pattern\"\$"
has CHANGELOG.md "^## $pattern( |\$)"
has debian/changelog "^coropanic \\($pattern-"
has "coropanic-$VERSION-1.rockspec" "^version = \"$pattern-1\"\$"

mkdir -p build/dist
# Without what is about this repository or Debian alone.
git -c tar.umask=0022 archive --format=tar --prefix="$name/" HEAD . ':!debian' ':!.ci' ':!.gitignore' | gzip --no-name --best >"build/dist/$name.tar.gz"
(cd build/dist && sha256sum "$name.tar.gz")
