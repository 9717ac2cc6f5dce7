# SPDX-License-Identifier: BSD-3-Clause
# In a guest with an NVMe controller at 3: several processes drive it.
. /etc/guest.sh

nvme=0000:00:03.0
hugepages 320
bind $nvme vfio-pci
for mode in $MODES; do
	check "$mode: two processes, killed, reset, detached" test_mp "$(command -v plx-info)" 2 "pci:$nvme,vfio=$mode"
	grep -e '^ok' /tmp/out
done
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
