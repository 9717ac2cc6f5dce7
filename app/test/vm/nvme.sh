# SPDX-License-Identifier: BSD-3-Clause
# In a guest with an NVMe controller at 3 and a group of two at 5.0 and 5.1: the NVMe driver by each
# of $MODES, the kernel's driver as the judge of its data, and what is said when it can't be had.
. /etc/lib.sh

nvme=0000:00:03.0 twin0=0000:00:05.0 twin1=0000:00:05.1 sata=0000:00:1f.2
touch /tmp/b

# Begin reading, for half a minute, and wait until the device is open: $first.
begin_load()
{
	plx-testblk -l 0 --in-memory --no-telemetry -- --dev "$1" --time 30 >/tmp/first 2>&1 &
	first=$!
	until_true sh -c "ls -l /proc/$first/fd | grep -q vfio/" 2>/dev/null
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
	check "$1: written by the kernel, read by us" written_by_kernel $nvme "vfio=$1"
	check "$1: written by us, read by the kernel" read_by_kernel $nvme "vfio=$1"
	check "$1: conformance" conformance "pci:$nvme,vfio=$1"
	check "$1: verified writes, two queues" verified "pci:$nvme,vfio=$1,sgl=0"
}

# Two functions that the IOMMU can't tell apart.
twins()
{
	bind $twin0 vfio-pci
	bind $twin1 nvme
	refused "$1: half of a group" "$twin1 is still bound to 'nvme'" \
		copy "pci:$twin0,vfio=$1" from /tmp/b
	check "$1: the other half still works" dd if="$(disk $twin1)" of=/dev/null bs=1M count=1
	bind $twin1 vfio-pci
	check "$1: both of a group" plx-testblk $eal -- --time 0.5 \
		--dev "pci:$twin0,vfio=$1" --dev "pci:$twin1,vfio=$1"
	refused "$1: twice" "this process has it attached already" plx-testblk $eal -- --time 0.5 \
		--dev "pci:$twin0,vfio=$1" --dev "pci:$twin0,vfio=$1"
}

# As a user who was given the node, with and without enough memory to lock.
unprivileged()
{
	local nodes read="plx-testblk $eal -- --time 0.5 --dev pci:$nvme,vfio=$1"

	nodes=$(vfio_nodes "$1" $nvme)
	refused "$1: as a user, without the node" "give yourself the node" as_user 131072 "$read"
	chown 1000 $nodes
	refused "$1: as a user, little memory to lock" "may lock 1024 KiB" as_user 1024 "$read"
	check "$1: as a user" as_user 131072 "$read"
	chown 0 $nodes
}

bad_input()
{
	bind $nvme nvme
	refused "another driver" "belongs to the kernel's driver 'nvme'" \
		copy "pci:$nvme,vfio=$1" from /tmp/b
	check "another driver: it still works" dd if="$(disk $nvme)" of=/dev/null bs=1M count=1
	refused "not NVMe" "no driver for PCI device 8086:2922" copy pci:$sata from /tmp/b
	refused "not there" "there is no PCI function 0000:77:00.0" copy pci:77:00.0 from /tmp/b
	refused "no mode" "is none of auto, cdev, group, noiommu" copy pci:$nvme,vfio=x from /tmp/b
}

# What only one of the ways can be asked.
by_name()
{
	bind $nvme vfio-pci
	case $1 in
	noiommu) refused "no IOMMU, not named" "without an IOMMU" copy pci:$nvme from /tmp/b ;;
	*) refused "no IOMMU, but there is one" "an IOMMU protects it" \
		copy pci:$nvme,vfio=noiommu from /tmp/b ;;
	esac
	[ "$1" != group ] || [ -e /dev/iommu ] || refused "no cdev" "no character device" \
		copy pci:$nvme,vfio=cdev from /tmp/b
}

if [ "$MODES" = off ]; then # no IOMMU, and a kernel that then binds nothing
	bind $nvme vfio-pci 2>/dev/null
	refused "IOMMU off" "$REFUSED" copy pci:$nvme from /tmp/b
	bind $nvme nvme
	check "IOMMU off: the kernel still has it" dd if="$(disk $nvme)" of=/dev/null bs=1M count=1
	exit $failed
fi
[ -n "$BRIEF" ] || bad_input "${MODES##* }"
for mode in $MODES; do
	by_mode "$mode"
	[ -z "$BRIEF" ] || continue
	in_use "$mode"
	check "$mode: unbound under load" taken_away "$mode"
	bind $nvme vfio-pci
	[ "$mode" != noiommu ] || continue
	check "$mode: without hugepages" plx-testblk --no-huge -m 128 -l 0 --no-telemetry -- \
		--dev "pci:$nvme,vfio=$mode" --allow-write --rw randwrite --size 8M --verify crc32c
	unprivileged "$mode"
	twins "$mode"
done
[ -n "$BRIEF" ] || by_name "$MODES"
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
