# SPDX-License-Identifier: BSD-3-Clause
# In a guest with an NVMe controller at 3 and a group of two at 5.0 and 5.1, all the kernel's:
# plx-devbind with a kernel that means it.
. /etc/guest.sh

nvme=0000:00:03.0 twin0=0000:00:05.0 twin1=0000:00:05.1
eal="--in-memory --no-telemetry"
hugepages 256
printf 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n' >/etc/passwd
disk() { ls -d /sys/bus/pci/devices/$nvme/nvme/nvme*/nvme*n1 2>/dev/null | sed 's,.*/,,'; }
has_disk() { [ -n "$(disk)" ]; }
says() { "$@" >/tmp/said 2>&1 && cat /tmp/said && grep -q -e "$words" /tmp/said; }

until_true has_disk
words="$nvme  nvme .* nvme  *[0-9].*$(disk) 64 MiB" check "status" says plx-devbind
words='"driver": "nvme"' check "as JSON" says plx-devbind --status-json

mkswap "/dev/$(disk)" >/dev/null && swapon "/dev/$(disk)"
refused "swap" "is in use: $(disk) swap" plx-devbind --bind vfio-pci $nvme
swapoff "/dev/$(disk)"
sleep 60 <"/dev/$(disk)" &
refused "open" "$(disk) open by sleep (process $!)" plx-devbind --bind vfio-pci $nvme
kill $!
wait $!
refused "no driver for it" "virtio-pci did not take it" plx-devbind --bind virtio-pci $nvme
words="$nvme  nvme .* nvme " check "the kernel has it still" says plx-devbind

check "bind" plx-devbind --bind vfio-pci --user user $nvme
words="already" check "again" says plx-devbind --bind vfio-pci $nvme
as_user() { (ulimit -l unlimited && exec su user -c "$*"); }
check "as a user" as_user "plx-testblk -l 0 $eal -- --dev pci:$nvme --time 0.5"
plx-testblk -l 0 $eal -- --dev pci:$nvme --time 30 >/tmp/first 2>&1 &
first=$!
is_open() { ls -l /proc/$first/fd | grep -q vfio/; }
until_true is_open
refused "in use by us" "open by plx-testblk (process $first)" plx-devbind --bind kernel $nvme
kill -INT $first
wait $first
check "back" plx-devbind --bind kernel $nvme
check "the disk is there again" until_true has_disk

words="note: $twin1 is in IOMMU group" check "half of a group" says plx-devbind -b vfio-pci $twin0
refused "half of a group" "plx-devbind --bind vfio-pci $twin1" \
	plx-testblk -l 0 $eal -- --dev pci:$twin0 --time 0.5
check "the other half" plx-devbind --unbind $twin1
check "both of a group" plx-testblk -l 0 $eal -- --dev pci:$twin0 --time 0.5
check "both back" plx-devbind --bind nvme $twin0 $twin1
words="$twin1 .* nvme .* nvme" check "both back, seen" says plx-devbind
plx-devbind
exit $failed
