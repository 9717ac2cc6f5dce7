# SPDX-License-Identifier: BSD-3-Clause
# In a guest with a controller of two virtual functions at 1:0.0, which the kernel's driver has: it
# gives them queues, and they are ours.
. /etc/lib.sh

pf=/sys/bus/pci/devices/0000:01:00.0
until_true test -e $pf/nvme
ctrl=/dev/$(ls $pf/nvme)

# ID ACTION [OPTION...]: 7 offline, 8 give resources, 9 online
manage()
{
	local id=$1 action=$2
	shift 2

	nvme virt-mgmt "$ctrl" -c "$id" -a "$action" "$@" >/dev/null
}

echo 0 >$pf/sriov_drivers_autoprobe
for id in 1 2; do
	check "queues and vectors for $id" eval \
		"manage $id 7 && manage $id 8 -r 0 -n 2 && manage $id 8 -r 1 -n 2"
done
echo 2 >$pf/sriov_numvfs
for vf in 0 1; do
	check "online" manage $((vf + 1)) 9
	f=$(basename "$(readlink $pf/virtfn$vf)")
	bind "$f" vfio-pci
	check "$f: conformance" conformance "pci:$f"
	check "$f: verified" verified "pci:$f,queues=1"
done
check "both" plx-testblk $eal -- --time 0.5 --dev pci:01:00.1 --dev pci:01:00.2
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
