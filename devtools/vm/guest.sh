# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the scripts that run in a guest: binding, hugepages, checks.

# bind BDF DRIVER: give a function to a driver, whoever has it.
bind()
{
	echo "$2" >"/sys/bus/pci/devices/$1/driver_override"
	[ ! -e "/sys/bus/pci/devices/$1/driver" ] ||
		echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
}

# hugepages MIB
hugepages() { echo $(($1 / 2)) >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages; }

# until_true COMMAND...: it is tried for up to ten seconds.
until_true()
{
	local i=0

	until "$@"; do
		[ $i -lt 100 ] || return 1
		sleep 0.1
		i=$((i + 1))
	done
}

# qmp COMMAND [JSON]: a command, with arguments, for this machine. Prints the answer; fails when it
# is an error.
qmp()
{
	local answer

	exec 8<>/dev/ttyS1
	stty raw -echo <&8
	echo "{\"execute\": \"$1\"${2:+, \"arguments\": $2}}" >&8
	read -r answer <&8
	exec 8>&-
	echo "$answer"
	[ "${answer#*\"error\"}" = "$answer" ]
}

failed=0
# check NAME COMMAND...: it must succeed.
check()
{
	local name=$1
	shift

	if "$@" >/tmp/out 2>&1; then
		echo "ok   $name"
	else
		echo "FAIL $name: exit $?"
		cat /tmp/out
		failed=1
	fi
}

# refused NAME WORDS COMMAND...: it must fail with status 1, and words in its one line of explanation.
refused()
{
	local name=$1 words=$2 rc
	shift 2

	"$@" >/tmp/out 2>&1
	rc=$?
	if [ $rc != 1 ]; then
		echo "FAIL $name: exit $rc"
	elif ! grep -q -e "$words" /tmp/out; then
		echo "FAIL $name: it doesn't say '$words'"
	elif [ "$(grep '^pollux: ' /tmp/out | grep -vc 'NO IOMMU')" -gt 1 ]; then
		echo "FAIL $name: it takes more than a line"
	else
		echo "ok   $name: $(grep -e "$words" /tmp/out | head -n 1)"
		return
	fi
	cat /tmp/out
	failed=1
}
