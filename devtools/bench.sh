#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Measure Pollux on this machine: plx-testblk on one core, plx-export on another, the device class
# alone, the floor under both, instructions an I/O, start-up. Some minutes; leave the machine alone.
#
# usage: bench.sh [--rounds N] [--time SECONDS] [--rst FILE]
#   --rounds N    repeat all, interleaved, and take medians (5)
#   --time S      seconds for each figure in each round (2)
#   --rst FILE    the tables for the guides as well
. "$(dirname "$0")/common.sh"

case ${1:-} in
-h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

cleanup()
{
	hugepages_return
	give_to_owner "$top/build-bench"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

packages_install build bench
# release, with the symbols that callgrind shares instructions out by
meson_build "$top/build-bench" -Ddebug=true || exit 1
hugepages_reserve 512 || note "no hugepages: the figures are those of ordinary memory"
"$top/devtools/bench.py" --build "$top/build-bench" --cpus "$(cpus_allowed | xargs)" "$@"
