#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Install what is missing, build in every way that matters, run every test. The last line is the
# sum over all runs: "N passed, N failed, N skipped"; exit 1 when one failed or none ran.
#
# usage: test.sh [--quick] [RUN...]
#   --quick  the release build only: its tests, checks and installation
#   RUN      release install asan tsan docs fuzz vm (default: all)
. "$(dirname "$0")/common.sh"

results=
cleanup()
{
	hugepages_return
	[ -z "$results" ] || rm -f "$results"
	give_to_owner "$build" "$top"/build-*
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# record RESULT RUN TEST REASON
record() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$results"; }

# built RUN DIR [OPTION...]: build; a failed build is a failed test, since none of its tests run.
built()
{
	local run=$1 dir=$2
	shift 2

	meson_build "$dir" "$@" && return 0
	record failed "$run" build "the build failed"
	return 1
}

# tests RUN DIR [MESON TEST OPTION...]
tests()
{
	local run=$1 dir=$2 log=testlog-${1// /-}
	shift 2

	rm -f "$dir/meson-logs/$log.json"
	# two a processor: more than half of a test's time is spent asleep
	(cd "$dir" && $no_aslr meson test --no-rebuild --quiet --num-processes $((2 * $(nproc))) \
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
	built release "$build" --werror || return
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
	built asan "$top/build-asan" --werror --buildtype=debugoptimized --default-library=static \
		-Db_sanitize=address,undefined -Db_lundef=false || return
	ASAN_OPTIONS=detect_leaks=1:fast_unwind_on_malloc=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		LSAN_OPTIONS=suppressions=$top/devtools/lsan.supp:print_suppressions=0 \
		tests asan "$top/build-asan" "${not_now[@]}" -t 4
}

run_tsan()
{
	local no_aslr=$no_aslr
	# DPDK's rings and locks in a form that TSan understands; fences towards devices it need not
	local flags="-DRTE_USE_C11_MEM_MODEL -DRTE_FORCE_INTRINSICS -Wno-tsan"

	built tsan "$top/build-tsan" --werror --buildtype=debugoptimized --default-library=static \
		-Db_sanitize=thread -Db_lundef=false "-Dc_args=$flags" || return
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
	CC=clang-14 built fuzz "$top/build-fuzz" -Dfuzz=true -Dexamples=false \
		--buildtype=debugoptimized --default-library=static \
		-Db_sanitize=address,undefined -Db_lundef=false || return
	tests fuzz "$top/build-fuzz" --suite fuzz
}

run_install()
{
	local how

	built install "$build" --werror || return
	for how in shared static c++; do
		script install "install-$how" "$top/app/test/install/run.sh" "$build" "$how"
	done
}

# The core set; what this machine can't have is skipped, each test says what it is.
run_vm()
{
	(packages_install vm) || note "without the packages for guests"
	built vm "$build" --werror || return
	tests vm "$build" --suite vm
}

runs=()
all=(release install asan tsan docs fuzz vm)
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
no_aslr=
results=$(mktemp)
for run in "${runs[@]}"; do
	say "==== $run ($(date +%T))"
	"run_$run"
done
"$top/devtools/results.py" sum "$results"
