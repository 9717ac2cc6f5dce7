# SPDX-License-Identifier: BSD-3-Clause
# In a guest whose kernel has vDPA: the virtio driver by vhost-vdpa on qemu-storage-daemon's VDUSE
# and on the kernel's simulator; the kernel's driver, and the image, as judges of its data.
. /etc/lib.sh

dev=vhost-vdpa:/dev/vhost-vdpa-0
image=/tmp/image

# vdpa_bind NAME DRIVER: give a vDPA device to vhost_vdpa or virtio_vdpa.
vdpa_bind()
{
	local at=/sys/bus/vdpa/devices/$1

	[ ! -e $at/driver ] || echo "$1" >"$(readlink -f $at/driver)/unbind"
	echo "$2" >$at/driver_override
	echo "$1" >"/sys/bus/vdpa/drivers/$2/bind"
}

# vduse NAME FORMAT: the image, as a vDPA device.
vduse()
{
	qemu-storage-daemon --blockdev "driver=file,filename=$image,node-name=f0,discard=unmap" \
		--blockdev "driver=$2,file=f0,node-name=n0,discard=unmap" --export \
		"type=vduse-blk,id=e0,node-name=n0,name=$1,writable=on,num-queues=2,serial=VDUSE0001" &
	daemon=$!
	until_true [ -e "/dev/vduse/$1" ] && vdpa dev add name "$1" mgmtdev vduse &&
		vdpa_bind "$1" vhost_vdpa
}

vduse_end()
{
	vdpa dev del "$1"
	kill $daemon
	wait $daemon
}

written_and_in_the_image()
{
	dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null
	copy $dev to /tmp/a && sync && cmp -n 4194304 /tmp/a $image
}

read_by_kernel()
{
	vdpa_bind "$1" virtio_vdpa && until_true [ -e /dev/vda ] &&
		dd if=/dev/vda of=/tmp/b bs=1M count=4 2>/dev/null && cmp /tmp/a /tmp/b
}

written_by_kernel()
{
	dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null
	dd if=/tmp/a of=/dev/vda bs=1M conv=fsync || return
	vdpa_bind "$1" vhost_vdpa && truncate -s 4M /tmp/b && copy $dev from /tmp/b && cmp /tmp/a /tmp/b
}

# What a driver must do, on any device.
driver()
{
	check "$1: conformance" conformance $dev
	check "$1: verified writes" verified $dev
	check "$1: verified writes, one split ring" verified $dev,queues=1,packed=0 --qd 64
	check "$1: arm, sleep, wake" test_nvme_intr $dev 300
}

truncate -s 64M $image
check "VDUSE comes" vduse vd0 raw
driver VDUSE
check "VDUSE: what was written is in the image" written_and_in_the_image
check "VDUSE: written by us, read by the kernel" read_by_kernel vd0
check "VDUSE: written by the kernel, read by us" written_by_kernel vd0
refused "VDUSE: a queue too many" "queues=3: the device has 2" copy $dev,queues=3 from /tmp/b
plx-testblk $eal -- --dev $dev --time 30 >/tmp/first 2>&1 &
sleep 2
refused "VDUSE: in use" "another process has it open" copy $dev from /tmp/b
kill -INT $!
wait $!
check "VDUSE goes" vduse_end vd0
refused "not there" "vdpa dev add" copy $dev from /tmp/b
refused "no vDPA device" "not a vhost-vdpa device" copy vhost-vdpa:/dev/null from /tmp/b

vdpa dev add name sim0 mgmtdev vdpasim_blk
check "simulator comes" vdpa_bind sim0 vhost_vdpa
driver simulator
check "simulator goes" vdpa dev del sim0
[ $failed = 0 ] || dmesg | tail -n 30
exit $failed
