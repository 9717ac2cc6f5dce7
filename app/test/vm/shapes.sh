# SPDX-License-Identifier: BSD-3-Clause
# In a guest with controllers or functions of unusual shapes: each of $SHAPES, address=name, is used by
# the kernel's driver and by ours.
. /etc/lib.sh

for s in $SHAPES; do
	f=${s%%=*} name=${s#*=}
	bind "$f" vfio-pci
	check "$name: conformance" plx-conformance $eal -- "pci:$f" --seconds 0.03
	check "$name: verified" plx-testblk $eal -- --allow-write --dev "pci:$f" \
		--rw randwrite --size 1M --iodepth 4 --verify crc32c
	check "$name: without hugepages" plx-testblk --no-huge -m 128 -l 0 --no-telemetry -- \
		--allow-write --dev "pci:$f" --rw randwrite --size 1M --iodepth 4 --verify crc32c
done
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
