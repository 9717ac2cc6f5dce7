# SPDX-License-Identifier: BSD-3-Clause
# In a guest with NVMe controllers at 3, 4 and 5: zones of 512-byte and of 4096-byte blocks, and
# copies with small limits; by each of $MODES, then with the keys $MORE, too.
. /etc/lib.sh

# A wrong command line, and nothing is written.
unsuited()
{
	verified $dev >/tmp/said 2>&1
	[ $? = 2 ] && grep 'is zoned' /tmp/said
}

for mode in $MODES; do
	for nvme in 0000:00:03.0 0000:00:04.0 0000:00:05.0; do
		bind $nvme vfio-pci
		for more in "" $MORE; do
			check "$mode, $nvme$more: conformance" conformance "pci:$nvme,vfio=$mode$more"
		done
	done
	dev=pci:0000:00:03.0,vfio=$mode
	check "$mode: random writes to zones" unsuited
	check "$mode: reads of zones" plx-testblk $eal -- --dev $dev --rw randread --time 0.5
done
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
