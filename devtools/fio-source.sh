#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The source of the fio that Debian installed, for its engine (meson's option fio_source): fetched
# with apt-get from where this machine's packages come from, unpacked and configured.
#
# usage: fio-source.sh DIR     exit status 77, and the reason, when it can't be had
set -e -o pipefail
dir=${1:?usage: fio-source.sh DIR}
skip() { echo "skipped: $*"; exit 77; }

command -v apt-get >/dev/null || skip "no apt-get: not a Debian system"
version=$(dpkg-query -W -f '${source:Version}' fio 2>/dev/null) || skip "Debian's fio is not installed"
[ "$(cat "$dir/plx_version" 2>/dev/null)" != "$version" ] || exit 0

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
mkdir -p "$tmp/lists/partial"
# a list of its own, so that the machine's stays without sources
apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
	awk -v release="$(. /etc/os-release && echo "$VERSION_CODENAME")" \
		'index($3, release) == 1 && $4 == "main"' | sort -u >"$tmp/sources.list"
apt=(apt-get -o "Dir::Etc::sourcelist=$tmp/sources.list" -o Dir::Etc::sourceparts=/dev/null
	-o "Dir::State::lists=$tmp/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
	-o Acquire::Retries=1 -o Acquire::http::Timeout=20)
(cd "$tmp" && "${apt[@]}" update && "${apt[@]}" source --download-only "fio=$version") ||
	skip "the source of fio $version can't be fetched"
rm -rf "$dir"
mkdir -p "$dir"
tar xf "$tmp"/fio_*.orig.tar.[gx]z -C "$dir" --strip-components=1
(cd "$dir" && ./configure)
echo "$version" >"$dir/plx_version"
