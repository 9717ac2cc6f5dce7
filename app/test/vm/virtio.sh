# SPDX-License-Identifier: BSD-3-Clause
# In a guest with virtio-blk functions at 10 (split rings), 11 (packed rings), 12 (legacy) and 13
# (transitional, which knows of no IOMMU): the virtio driver by each of $MODES, the kernel's driver
# as the judge of its data, and what is said when a function can't be had.
. /etc/lib.sh

split=0000:00:10.0 packed=0000:00:11.0 legacy=0000:00:12.0 bypass=0000:00:13.0

cat >/tmp/resize <<'END'
. /etc/guest.sh
qmp block_resize "{\"device\": \"$1\", \"size\": $2}"
END

disks() { ls -d /sys/bus/pci/devices/"$1"/virtio*/block/vd* 2>/dev/null; }
nr_queues() { ls "$(disks "$1")"/mq | wc -l; }

written_by_kernel()
{
	bind "$2" virtio-pci
	dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null
	dd if=/tmp/a of="$(disk "$2")" bs=1M conv=fsync || return
	bind "$2" vfio-pci
	truncate -s 4M /tmp/b
	copy "pci:$2,vfio=$1" from /tmp/b && cmp /tmp/a /tmp/b
}

read_by_kernel()
{
	bind "$2" vfio-pci
	dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null
	copy "pci:$2,vfio=$1" to /tmp/a || return
	bind "$2" virtio-pci
	dd if="$(disk "$2")" of=/tmp/b bs=1M count=4 && cmp /tmp/a /tmp/b
}

# The kernel wants it back: every request ends, and the kernel gets it.
taken_away()
{
	plx-testblk -l 0 --in-memory --no-telemetry -- --dev "pci:$2,vfio=$1" --time 30 >/tmp/first 2>&1 &
	until_true sh -c "ls -l /proc/$!/fd | grep -q vfio/" 2>/dev/null
	sleep 1
	echo "$2" >/sys/bus/pci/devices/"$2"/driver/unbind
	wait $!
	grep -e 'the kernel asks for it back' /tmp/first && grep -e 'ENODEV' /tmp/first && return
	cat /tmp/first
	return 1
}

# row MODE BDF NAME DISK
row()
{
	local dev=pci:$2,vfio=$1

	check "$1, $3: written by the kernel, read by us" written_by_kernel "$1" "$2"
	check "$1, $3: written by us, read by the kernel" read_by_kernel "$1" "$2"
	bind "$2" vfio-pci
	check "$1, $3: conformance" conformance "$dev"
	check "$1, $3: verified writes, two queues" verified "$dev"
	check "$1, $3: arm, sleep, wake" test_nvme_intr "$dev" 300
	check "$1, $3: another size" plx-blk-resize $eal -- "$dev" 50331648 \
		"sh /tmp/resize $4 50331648"
	sh /tmp/resize "$4" 33554432 >/dev/null
	check "$1, $3: unbound under load" taken_away "$1" "$2"
}

for mode in $MODES; do
	row "$mode" $split "split rings" virtio0d
	row "$mode" $packed "packed rings" virtio1d
	bind $split vfio-pci
	bind $packed vfio-pci
	check "$mode: split rings on a device with packed ones" \
		verified "pci:$packed,vfio=$mode,packed=0,queues=1"
	refused "$mode: packed rings that aren't there" "offers split rings only" \
		copy "pci:$split,vfio=$mode,packed=1" from /tmp/b
	refused "$mode: a queue too many" "queues=3: the device has 2" \
		copy "pci:$split,vfio=$mode,queues=3" from /tmp/b
	bind $legacy vfio-pci
	refused "$mode: legacy" "a legacy virtio device" copy "pci:$legacy,vfio=$mode" from /tmp/b
	bind $bypass vfio-pci
	case $mode in
	noiommu) check "$mode: transitional" verified "pci:$bypass,vfio=$mode" ;;
	*) refused "$mode: past the IOMMU" "doesn't offer ACCESS_PLATFORM" \
		copy "pci:$bypass,vfio=$mode" from /tmp/b ;;
	esac
done
bind $split virtio-pci
check "the kernel still has two queues" [ "$(until_true disks $split >/dev/null; nr_queues $split)" = 2 ]
dmesg | grep 'DMAR:.*fault' && failed=1
[ $failed = 0 ] || dmesg | tail -n 20
exit $failed
