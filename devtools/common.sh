# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the scripts of this folder: packages, hugepages, builds, clean-up.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
logs=$top/build-log
hugepages_before=
hugepages_mounted=

say() { printf '%s\n' "$*"; }
note() { printf '      %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Install the packages of these uses (as in packages.txt) that are missing.
packages_install()
{
	local use pkg wanted missing=()

	if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
		note "not a Debian system: see devtools/packages.txt for what is needed"
		return 0
	fi
	for use in "$@"; do
		wanted=$(sed -n "s/^$use //p" "$top/devtools/packages.txt")
		for pkg in $wanted; do
			[ "$(dpkg-query -W -f '${db:Status-Status}' "$pkg" 2>/dev/null)" = installed ] ||
				missing+=("$pkg")
		done
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] ||
		die "packages are missing; run this as root: apt-get install ${missing[*]}"
	note "installing ${missing[*]}"
	mkdir -p "$logs"
	apt_install "${missing[@]}" >"$logs/apt.log" 2>&1 ||
		{ apt-get update && apt_install "${missing[@]}"; } >>"$logs/apt.log" 2>&1 ||
		{ tail -n 20 "$logs/apt.log"; die "apt-get failed; the log is $logs/apt.log"; }
}

apt_install()
{
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null
}

meminfo() { awk -v k="$1:" '$1 == k { print $2 }' /proc/meminfo; }

# Have this many MiB of free hugepages: when root, reserve them where none are and memory is free.
hugepages_reserve()
{
	local mib=$1 size want
	local knob=/proc/sys/vm/nr_hugepages

	size=$(meminfo Hugepagesize)
	[ -n "$size" ] || return 1
	want=$((mib * 1024 / size))
	if [ "$(meminfo HugePages_Total)" = 0 ]; then
		[ -w "$knob" ] && [ "$(meminfo MemAvailable)" -ge $((mib * 1024 * 3)) ] || return 1
		hugepages_before=0
		(echo "$want" >"$knob") 2>/dev/null
	fi
	[ "$(meminfo HugePages_Free)" -ge "$want" ] || { hugepages_return; return 1; }
	# processes share them by its files
	if ! grep -q ' hugetlbfs ' /proc/mounts && mkdir -p /dev/hugepages 2>/dev/null &&
		mount -t hugetlbfs none /dev/hugepages 2>/dev/null; then
		hugepages_mounted=/dev/hugepages
	fi
}

# Give back what hugepages_reserve took.
hugepages_return()
{
	[ -z "$hugepages_mounted" ] || umount "$hugepages_mounted" || note "$hugepages_mounted stays mounted"
	hugepages_mounted=
	[ -n "$hugepages_before" ] || return 0
	(echo "$hugepages_before" >/proc/sys/vm/nr_hugepages) 2>/dev/null
	hugepages_before=
}

# meson_build DIR [SETUP OPTION...]: configure when new or changed, then build $targets, which is
# all by default. The output goes to a log; what went wrong is shown.
meson_build()
{
	local dir=$1 log=$logs/${1##*/}.log wrong
	shift

	mkdir -p "$logs"
	if ! meson_configure "$dir" "$@" >"$log" 2>&1 || ! ninja -C "$dir" ${targets-} >>"$log" 2>&1; then
		wrong=$(grep -n -A8 -E 'error|ERROR|FAILED|undefined' "$log" | head -n 60)
		say "${wrong:-$(tail -n 20 "$log")}"
		say "the log is $log"
		return 1
	fi
}

meson_configure()
{
	local dir=$1 wanted
	shift

	# default options take effect in a new build only
	wanted="$* $(cat "$top/meson.build" "$top/meson_options.txt" | cksum)"
	if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/plx_setup" 2>/dev/null)" != "$wanted" ]; then
		rm -rf "$dir"
		meson setup "$dir" "$top" "$@" || return 1
		printf '%s\n' "$wanted" >"$dir/plx_setup"
	fi
}

# Run by sudo in somebody's tree: what was made here is theirs.
give_to_owner()
{
	[ "$(id -u)" != 0 ] || chown -R --reference="$top" "$logs" "$@" 2>/dev/null
}

# The CPUs that this process may run on, one a line.
cpus_allowed()
{
	awk '$1 == "Cpus_allowed_list:" {
		n = split($2, part, ",")
		for (i = 1; i <= n; i++) {
			if (split(part[i], r, "-") == 1)
				r[2] = r[1]
			for (c = r[1]; c <= r[2]; c++)
				print c
		}
	}' /proc/self/status
}

exporter=

# exporter_start CPU SOCKET DEVICE NAME [EAL OPTION...]: serve a device, in a session of its own so
# that Ctrl-C does not reach it; returns when the socket is there.
exporter_start()
{
	local cpu=$1 sock=$2 dev=$3 name=$4 log=$logs/plx-export.log i
	shift 4

	setsid "$build/app/export/plx-export" -l "$cpu" "$@" -- --dev "$dev,name=$name" \
		--export "vfio-user:$sock,dev=$name" </dev/null >"$log" 2>&1 &
	exporter=$!
	for ((i = 0; i < 100; i++)); do
		[ ! -S "$sock" ] || return 0
		kill -0 "$exporter" 2>/dev/null || break
		sleep 0.1
	done
	cat "$log"
	say "plx-export did not start; its output is above, and in $log"
	return 1
}

exporter_stop()
{
	local i

	[ -n "$exporter" ] || return 0
	kill "$exporter" 2>/dev/null
	for ((i = 0; i < 50; i++)); do
		kill -0 "$exporter" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$exporter" 2>/dev/null
	wait "$exporter" 2>/dev/null
	exporter=
}
