# SPDX-License-Identifier: BSD-3-Clause
# In a guest with an NVMe controller at 3 and a group of two at 5.0 and 5.1: the NVMe driver by each
# of $MODES, the kernel's driver as the judge of its data, and what is said when it can't be had.
. /etc/guest.sh

nvme=0000:00:03.0 twin0=0000:00:05.0 twin1=0000:00:05.1 sata=0000:00:1f.2
eal="-l 0-1 --in-memory --no-telemetry"
hugepages 256

copy() { plx-blk-copy $eal -- "$@"; }

# The disk of the kernel's driver for it.
disk()
{
	local i=0

	while [ $i -lt 100 ] && ! ls -d /sys/bus/pci/devices/$nvme/nvme/nvme*/nvme*n1 2>/dev/null; do
		sleep 0.1
		i=$((i + 1))
	done | sed 's,.*/,/dev/,'
}

written_by_kernel()
{
	bind $nvme nvme
	dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null
	dd if=/tmp/a of="$(disk)" bs=1M conv=fsync || return
	bind $nvme vfio-pci
	truncate -s 4M /tmp/b
	copy "pci:$nvme,vfio=$1" from /tmp/b && cmp /tmp/a /tmp/b
}

read_by_kernel()
{
	bind $nvme vfio-pci
	dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null
	copy "pci:$nvme,vfio=$1" to /tmp/a || return
	bind $nvme nvme
	dd if="$(disk)" of=/tmp/b bs=1M count=4 && cmp /tmp/a /tmp/b
}

# Begin reading, for half a minute, and wait until the device is open: $first.
begin_load()
{
	local i=0

	plx-testblk -l 0 --in-memory --no-telemetry -- --dev "$1" --time 30 >/tmp/first 2>&1 &
	first=$!
	while ! ls -l /proc/$first/fd 2>/dev/null | grep -q 'vfio/' && [ $i -lt 100 ]; do
		sleep 0.1
		i=$((i + 1))
	done
	sleep 1
}

in_use()
{
	begin_load "pci:$nvme,vfio=$1"
	refused "$1: in use" "in use by process $first (plx-testblk)" \
		copy "pci:$nvme,vfio=$1" from /tmp/b
	kill -INT $first
	wait $first
}

# The kernel wants it back: every request ends, and the kernel gets it.
taken_away()
{
	begin_load "pci:$nvme,vfio=$1"
	echo $nvme >/sys/bus/pci/devices/$nvme/driver/unbind
	wait $first
	grep -e 'the kernel asks for it back' /tmp/first && grep -e 'ENODEV' /tmp/first && return
	cat /tmp/first
	return 1
}

by_mode()
{
	check "$1: written by the kernel, read by us" written_by_kernel "$1"
	check "$1: written by us, read by the kernel" read_by_kernel "$1"
	bind $nvme vfio-pci
	for more in "" ,sgl=0; do
		check "$1$more: conformance" plx-conformance $eal -- \
			"pci:$nvme,vfio=$1$more" --seconds "${SECONDS_EACH:-0.3}"
		check "$1$more: verified writes, two queues" plx-testblk $eal -- --allow-write \
			--dev "pci:$nvme,vfio=$1$more" --rw randwrite --size 8M --verify crc32c
	done
	in_use "$1"
	check "$1: unbound under load" taken_away "$1"
	bind $nvme vfio-pci
}

# Two functions that the IOMMU can't tell apart.
twins()
{
	bind $twin0 vfio-pci
	bind $twin1 nvme
	refused "$1: half of a group" "$twin1 is still bound to 'nvme'" \
		copy "pci:$twin0,vfio=$1" from /tmp/b
	bind $twin1 vfio-pci
	check "$1: both of a group" plx-testblk $eal -- --time 0.5 \
		--dev "pci:$twin0,vfio=$1" --dev "pci:$twin1,vfio=$1"
	refused "$1: twice" "this process has it attached already" plx-testblk $eal -- --time 0.5 \
		--dev "pci:$twin0,vfio=$1" --dev "pci:$twin0,vfio=$1"
}

# As a user who was given the node, with and without enough memory to lock.
unprivileged()
{
	local node group

	group=$(basename "$(readlink /sys/bus/pci/devices/$nvme/iommu_group)")
	node=/dev/vfio/$group
	[ "$1" = group ] || node=$(ls -d /dev/vfio/devices/* | head -n 1)
	refused "$1: as a user, without the node" "give yourself the node" \
		as_user "pci:$nvme,vfio=$1" unlimited
	chown 1000 "$node"
	[ "$1" = group ] || chown 1000 /dev/iommu
	refused "$1: as a user, little memory to lock" "may lock 1024 KiB" \
		as_user "pci:$nvme,vfio=$1" 1024
	check "$1: as a user" as_user "pci:$nvme,vfio=$1" unlimited
	chown 0 "$node"
}

as_user()
{
	(ulimit -l "$2" && exec su user -c "plx-testblk $eal -- --dev $1 --time 0.5")
}
printf 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n' >/etc/passwd
touch /tmp/b

bind $nvme nvme
refused "another driver" "belongs to the kernel's driver 'nvme'" \
	copy "pci:$nvme,vfio=${MODES##* }" from /tmp/b
refused "not NVMe" "no driver for PCI device 8086:2922" copy pci:$sata from /tmp/b
refused "not there" "there is no PCI function 0000:77:00.0" copy pci:77:00.0 from /tmp/b
refused "no mode" "is none of auto, cdev, group, noiommu" copy pci:$nvme,vfio=x from /tmp/b
for mode in $MODES; do
	by_mode "$mode"
	[ "$mode" != noiommu ] || continue
	check "$mode: without hugepages" plx-testblk --no-huge -m 128 -l 0 --no-telemetry -- \
		--dev "pci:$nvme,vfio=$mode" --allow-write --rw randwrite --size 8M --verify crc32c
	unprivileged "$mode"
	twins "$mode"
done
bind $nvme vfio-pci
case $MODES in
noiommu) refused "no IOMMU, not named" "without an IOMMU" copy pci:$nvme from /tmp/b ;;
*) refused "no IOMMU, but there is one" "an IOMMU protects it" copy pci:$nvme,vfio=noiommu from /tmp/b ;;
esac
if [ "$MODES" = group ] && [ ! -e /dev/iommu ]; then
	refused "no cdev" "no character device" copy pci:$nvme,vfio=cdev from /tmp/b
fi
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
