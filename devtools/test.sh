#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Install what is missing, build in every way that matters, run every test. The last line is the
# sum over all runs: "N passed, N failed, N skipped"; exit 1 when one failed or none ran.
#
# usage: test.sh [--quick] [RUN...]
#   --quick  the release build only: its tests, checks and installation
#   RUN      release install fio docs vm asan tsan fuzz (default: all)
. "$(dirname "$0")/common.sh"

results=
cleanup()
{
	local pid

	for pid in "${ahead[@]}"; do
		kill -- "-$pid" 2>/dev/null
	done
	hugepages_return
	[ -z "$results" ] || rm -f "$results"
	give_to_owner "$build" "$top"/build-*
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# record RESULT RUN TEST REASON
record() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$results"; }

# The builds. Those for sanitizers are no faster with -O2, and take twice as long to make.
sanitized=(--werror --buildtype=plain -Doptimization=1 -Db_lundef=false --default-library=static)
make_release() { meson_build "$build" --werror; }
make_asan()
{
	meson_build "$top/build-asan" "${sanitized[@]}" -Db_sanitize=address,undefined -Dc_args=-g1
}
make_tsan()
{
	# DPDK's rings and locks in a form that TSan understands; fences towards devices it need not
	meson_build "$top/build-tsan" "${sanitized[@]}" -Db_sanitize=thread \
		"-Dc_args=-g1 -DRTE_USE_C11_MEM_MODEL -DRTE_FORCE_INTRINSICS -Wno-tsan"
}
make_fuzz()
{
	CC=clang-14 targets=fuzzers meson_build "$top/build-fuzz" -Dfuzz=true -Dexamples=false \
		--buildtype=debugoptimized --default-library=static \
		-Db_sanitize=address,undefined -Db_lundef=false
}
make_fio() { "$top/devtools/fio-source.sh" "$top/build-fio"; }

# make_ahead BUILD...: one after the other, in what the tests of earlier runs leave of the processors.
declare -A ahead=()
make_ahead()
{
	local what before=

	mkdir -p "$logs"
	for what in "$@"; do
		set -m # a process group, which can be ended
		(
			renice -n 19 "$BASHPID" >/dev/null
			[ -z "$before" ] || tail --pid="$before" -f /dev/null
			"make_$what"
		) </dev/null >"$logs/ahead-$what.log" 2>&1 &
		set +m
		ahead[$what]=$! before=$!
	done
}

# made BUILD: wait for it when it was begun, else make it.
made()
{
	local pid=${ahead[$1]-} rc

	if [ -z "$pid" ]; then
		"make_$1"
		return
	fi
	renice -n 0 -g "$pid" >/dev/null 2>&1 # from now on nothing else goes on
	wait "$pid"
	rc=$?
	unset "ahead[$1]" # not before: it ends with this script
	[ $rc = 0 ] || cat "$logs/ahead-$1.log"
	return $rc
}

# built RUN BUILD: a failed build is a failed test, since none of its tests run.
built()
{
	made "$2" && return 0
	record failed "$1" build "the build failed"
	return 1
}

# tests RUN DIR [MESON TEST OPTION...]
tests()
{
	local run=$1 dir=$2 log=testlog-${1// /-}
	shift 2

	rm -f "$dir/meson-logs/$log.json"
	# three a processor: most of a test's time is spent asleep; so they may take three times as long
	(cd "$dir" && ${no_aslr-} meson test --no-rebuild --quiet --num-processes $((3 * $(nproc))) -t 3 \
		--logbase "$log" "$@") \
		</dev/null >"$logs/$log.log" 2>&1
	if [ -f "$dir/meson-logs/$log.json" ]; then
		"$top/devtools/results.py" add "$results" "$run" "$dir/meson-logs/$log.json"
	elif grep -q -E 'No (suitable )?tests' "$logs/$log.log"; then
		record skipped "$run" "all tests" "there are none in this build"
	else
		tail -n 20 "$logs/$log.log"
		record failed "$run" "meson test" "no test ran"
	fi
}

# What does not run in each build: suites that take long or need what most machines lack, and the
# checks of the tree.
not_now=(--no-suite perf --no-suite soak --no-suite vm --no-suite vm-full --no-suite fuzz --no-suite checks)

run_release()
{
	built release release || return
	tests checks "$build" --suite checks
	# the sanitizers' builds run on ordinary memory
	if hugepages_reserve 1024; then
		tests "release, hugepages" "$build" "${not_now[@]}"
		hugepages_return
	elif [ "$(meminfo HugePages_Total)" = 0 ]; then
		record skipped "release, hugepages" "all tests" \
			"there are none, and none can be reserved: not root, or too little free memory"
		tests "release, ordinary memory" "$build" "${not_now[@]}"
	else
		tests "release, few hugepages" "$build" "${not_now[@]}"
	fi
}

run_asan()
{
	built asan asan || return
	ASAN_OPTIONS=detect_leaks=1:fast_unwind_on_malloc=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		LSAN_OPTIONS=suppressions=$top/devtools/lsan.supp:print_suppressions=0 \
		tests asan "$top/build-asan" "${not_now[@]}" -t 4
}

run_tsan()
{
	local no_aslr=

	built tsan tsan || return
	# gcc 12's TSan does not know the memory layouts of kernels with more address bits at random
	setarch "$(uname -m)" -R true 2>/dev/null && no_aslr="setarch $(uname -m) -R"
	# left out: planted races, and programs with workers, whose handover inside of EAL is not seen
	TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
		tests tsan "$top/build-tsan" "${not_now[@]}" --no-suite notsan -t 6
}

# script RUN TEST COMMAND...: one test that is a command; 77 skips, its last line is the reason.
script()
{
	local run=$1 test=$2 log="$logs/$2.log" rc
	shift 2

	"$@" </dev/null >"$log" 2>&1
	rc=$?
	case $rc in
	0) record passed "$run" "$test" "" ;;
	77) record skipped "$run" "$test" "$(tail -n 1 "$log" | sed 's/^skipped: *//')" ;;
	*)
		record failed "$run" "$test" "exit status $rc, the log is $log"
		tail -n 40 "$log"
		;;
	esac
}

run_docs()
{
	rm -rf "$top/build-docs"
	mkdir -p "$logs"
	if ! meson setup "$top/build-docs" "$top" -Ddocs=enabled >"$logs/docs.log" 2>&1; then
		tail -n 20 "$logs/docs.log"
		record failed docs setup "meson setup failed, the log is $logs/docs.log"
		return
	fi
	script docs guides ninja -C "$top/build-docs" doc/guides
	script docs api ninja -C "$top/build-docs" doc/api
}

run_fuzz()
{
	built fuzz fuzz || return
	tests fuzz "$top/build-fuzz" --suite fuzz
}

run_install()
{
	local how

	built install release || return
	for how in shared static c++; do
		script install "install-$how" "$top/app/test/install/run.sh" "$build" "$how"
	done
}

# The engine for Debian's fio, in the release build while the source is there.
run_fio()
{
	built fio release || return
	script fio source made fio
	[ -f "$top/build-fio/config-host.h" ] || return
	meson configure "$build" "-Dfio_source=$top/build-fio" >/dev/null
	! built fio release || tests fio "$build" fio_engine
	meson configure "$build" -Dfio_source= >/dev/null
}

# The core set; what this machine can't have is skipped, each test says what it is.
run_vm()
{
	(packages_install vm) || note "without the packages for guests"
	built vm release || return
	tests vm "$build" --suite vm
}

runs=()
all=(release install fio docs vm asan tsan fuzz)
for arg in "$@"; do
	case $arg in
	--quick) runs+=(release install) ;;
	-h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) [[ " ${all[*]} " == *" $arg "* ]] || die "no run '$arg'; there are: ${all[*]}"
	   runs+=("$arg") ;;
	esac
done
[ ${#runs[@]} -gt 0 ] || runs=("${all[@]}")

packages_install build test
results=$(mktemp)
need=()
for run in "${runs[@]}"; do
	[ "$(type -t "make_$run")" != function ] || need+=("$run")
done
make_ahead "${need[@]}"
for run in "${runs[@]}"; do
	say "==== $run ($(date +%T))"
	"run_$run"
done
"$top/devtools/results.py" sum "$results"
