# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the scripts of this folder, in the guest.
. /etc/guest.sh

eal="-l 0-1 --in-memory --no-telemetry"
hugepages 256
printf 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n' >/etc/passwd

# copy DEVICE to|from FILE
copy() { plx-blk-copy $eal -- "$@"; }

# disk BDF: the disk that the kernel's driver makes of it.
disks() { ls -d /sys/bus/pci/devices/"$1"/nvme/nvme*/nvme*n1 2>/dev/null; }
disk() { until_true disks "$1" | sed 's,.*/,/dev/,'; }

# conformance DEVICE [OPTION...]
conformance() { plx-conformance $eal -- "$@" --seconds "${SECONDS_EACH:-0.3}"; }

# verified DEVICE [OPTION...]
verified()
{
	plx-testblk $eal -- --allow-write --rw randwrite --size 8M --verify crc32c --dev "$@"
}

# written_by_kernel BDF KEYS: what its driver wrote, ours reads, attached with such keys; and the
# other way round. The device is ours then. Small and direct, since Linux up to 6.10 takes the wrong
# metadata for I/O larger than a command.
written_by_kernel()
{
	bind "$1" nvme
	dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null
	dd if=/tmp/a of="$(disk "$1")" bs=64k oflag=direct conv=fsync || return
	bind "$1" vfio-pci
	truncate -s 4M /tmp/b
	copy "pci:$1,$2" from /tmp/b && cmp /tmp/a /tmp/b
}
read_by_kernel()
{
	dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null
	copy "pci:$1,$2" to /tmp/a || return
	bind "$1" nvme
	dd if="$(disk "$1")" of=/tmp/b bs=64k count=64 iflag=direct && cmp /tmp/a /tmp/b || return
	bind "$1" vfio-pci
}

# vfio_nodes MODE BDF: what a user must be given to use it.
vfio_nodes()
{
	case $1 in
	group) echo "/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/"$2"/iommu_group)")" ;;
	cdev) echo "/dev/iommu /dev/vfio/devices/$(ls /sys/bus/pci/devices/"$2"/vfio-dev)" ;;
	esac
}

# as_user KIB COMMAND...: may lock so much memory, without any capability.
as_user()
{
	local kib=$1
	shift

	(ulimit -l "$kib" && exec su user -c "grep -q 'CapPrm:.*[1-9a-f]' /proc/self/status && exit 99; $*")
}
