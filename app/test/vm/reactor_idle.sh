# SPDX-License-Identifier: BSD-3-Clause
# In a guest with NVMe controllers at 3 and 4, the second with a disk that takes a millisecond: a
# reactor that sleeps on MSI-X by each of $MODES.
. /etc/guest.sh

hugepages 256
for mode in $MODES; do
	for dev in 0000:00:03.0 0000:00:04.0; do
		bind $dev vfio-pci
		check "$mode: $dev: idle, first I/O after sleep, no wake-up lost" \
			test_blkr_idle "pci:$dev,vfio=$mode" "$CYCLES"
		grep I/O /tmp/out
	done
done
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
