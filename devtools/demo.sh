#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The NVMe driver at work on a machine without an NVMe drive to spare: build everything, start the
# software controller on one core, and let plx-testblk write, read back and check from another.
#
# usage: demo.sh [--no-hugepages] [--time SECONDS]
. "$(dirname "$0")/common.sh"

hugepages=yes seconds=5
while [ $# -gt 0 ]; do
	case $1 in
	--no-hugepages) hugepages=no ;;
	--time) seconds=${2:?--time needs seconds}; shift ;;
	-h | --help) sed -n '3,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) die "unknown option '$1': see --help" ;;
	esac
	shift
done

tmp=
cleanup()
{
	exporter_stop
	hugepages_return
	[ -z "$tmp" ] || rm -rf "$tmp"
	give_to_owner "$build"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

say "1/4 packages"
packages_install build

say "2/4 build: $build"
meson_build "$build" --werror || exit 1

say "3/4 the software NVMe controller"
eal=()
if [ $hugepages = no ]; then
	eal=(--no-huge)
	note "without hugepages, as asked"
elif hugepages_reserve 256; then
	note "$(meminfo HugePages_Total) hugepages of $(meminfo Hugepagesize) KiB"
else
	note "without hugepages (not root, or too little free memory): slower"
fi
tmp=$(mktemp -d)
mapfile -t cpus < <(cpus_allowed)
testblk=("$build/app/test-blk/plx-testblk")
# a disk that fits into a quarter of the free memory
size=$(($(meminfo MemAvailable) / 4096))
[ $size -le 1024 ] || size=1024
work=(--rw randrw --bs 4k --qd 32 --time "$seconds" --verify crc32c --allow-write)

if [ ${#cpus[@]} -ge 2 ]; then
	exporter_start "${cpus[0]}" "$tmp/sock" ram:size=${size}M r0 "${eal[@]}" || exit 1
	note "plx-export on CPU ${cpus[0]} serves a RAM disk of $size MiB at vfio-user:$tmp/sock"
	run=("${testblk[@]}" -l "${cpus[1]}" "${eal[@]}" -- --dev "vfio-user:$tmp/sock" "${work[@]}")
else
	note "one CPU only: the controller runs inside of plx-testblk (soft-nvme)"
	run=("${testblk[@]}" -l "${cpus[0]}" "${eal[@]}" -- --dev soft-nvme:size=${size}M "${work[@]}")
fi

say "4/4 the NVMe driver against it: random reads and writes of 4 KiB, then every block checked"
note "plx-testblk ${run[*]:1}"
say ""
"${run[@]}"
rc=$?
say ""
if [ $rc = 0 ]; then
	say "All data was right. Next: README.md, 'Where to go from here'."
else
	say "plx-testblk ended with status $rc"
	[ ! -s "$logs/plx-export.log" ] || tail -n 5 "$logs/plx-export.log"
fi
exit $rc
