#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Install a build into a folder of its own, then build and run programs outside of the tree with
# what pkg-config says. usage: run.sh BUILD shared|static|c++
set -e
build=$1 how=$2
top=$(cd "$(dirname "$0")/../../.." && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
pc=$(find "$root" -name pollux.pc)
libdir=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH=${pc%/*}

# program COMPILER FLAG...: build and run, and see which libpollux it needs
args=ram:size=16M
program()
{
	local exe=$root/program
	"$@" -Wall -Wextra -Werror -O2 -o "$exe"
	readelf -d "$exe" | grep NEEDED | grep -c libpollux >"$root/needed" || true
	LD_LIBRARY_PATH=$libdir timeout 60 "$exe" $args
}

# embeds LIBRARY...: programs with lcores and ports of their own build as well
embeds()
{
	local dir=$top/examples/embed_dataplane

	program gcc $(pkg-config --cflags pollux) "$top/examples/reactor_hello/main.c" "$@"
	embed "$dir"/*.c "$@"
	embed -DALLOW_EXPERIMENTAL_API -I"$dir" "$top/examples/graph_node/main.c" \
		"$dir"/{aoe,port}.c "$@"
}

# embed FLAG...: one of them; without a port it tells how to use it
embed()
{
	gcc $(pkg-config --cflags pollux) -Wall -Wextra -Werror -O2 -o "$root/embed" "$@"
	LD_LIBRARY_PATH=$libdir timeout 60 "$root/embed" --no-huge --no-pci --no-shconf \
		--no-telemetry -m 16 >"$root/said" 2>&1 && { cat "$root/said"; exit 1; }
	grep -q "^usage: .*DEVICE" "$root/said" || { cat "$root/said"; exit 1; }
}

case $how in
shared)
	program gcc $(pkg-config --cflags pollux) "$top/examples/helloworld/main.c" \
		$(pkg-config --libs pollux)
	[ "$(cat "$root/needed")" = 1 ] || { echo "not linked with libpollux.so"; exit 1; }
	embeds $(pkg-config --libs pollux)
	;;
static)
	program gcc $(pkg-config --cflags pollux) "$top/examples/helloworld/main.c" \
		$(pkg-config --static --libs pollux)
	[ "$(cat "$root/needed")" = 0 ] || { echo "needs libpollux.so"; exit 1; }
	embeds $(pkg-config --static --libs pollux)
	;;
c++)
	args=
	command -v g++ >/dev/null || { echo "skipped: no g++"; exit 77; }
	{
		(cd "$libdir/../../include/pollux" 2>/dev/null || cd "$libdir/../include/pollux"
		 printf '#include <%s>\n' *.h)
		cat "$top/app/test/install/main.cpp"
	} >"$root/main.cpp"
	program g++ -std=gnu++17 $(pkg-config --cflags pollux) "$root/main.cpp" \
		$(pkg-config --libs pollux)
	;;
esac
