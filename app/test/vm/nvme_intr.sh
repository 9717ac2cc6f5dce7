# SPDX-License-Identifier: BSD-3-Clause
# In a guest with NVMe controllers at 3 and 4, the second with a memory buffer: sleeping on MSI-X by
# each of $MODES, and submission queues in the controller's memory.
. /etc/guest.sh

nvme=0000:00:03.0 buffer=0000:00:04.0
hugepages 256
bind $nvme vfio-pci
bind $buffer vfio-pci
for mode in $MODES; do
	check "$mode: arm, sleep, wake" test_nvme_intr "pci:$nvme,vfio=$mode" 1000
	check "$mode: the same, doorbell buffers" test_nvme_intr "pci:$nvme,vfio=$mode,dbbuf=on" 1000
	check "$mode: commands in the controller's memory" test_nvme_intr "pci:$buffer,vfio=$mode,cmb=1" 500
	check "$mode: verified, by PRP and SGL" plx-testblk -l 0-1 --in-memory --no-telemetry -- --allow-write \
		--dev "pci:$buffer,vfio=$mode,cmb=1" --rw randwrite --size 4M --verify crc32c
	grep -e 'host memory' /tmp/out && failed=1
done
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
