# SPDX-License-Identifier: BSD-3-Clause
# In a guest with a hotplug port, rp0: an NVMe controller ($DEVICE virtio: a virtio-blk function)
# comes there, is attached in $MODES, and is taken away under load, again and again.
. /etc/guest.sh

hugepages 256
case ${DEVICE:-nvme} in
nvme) name=nvme0/n1 more='"driver": "nvme", "serial": "HOT"' ;;
virtio) name=virtio0 more='"driver": "virtio-blk-pci", "disable-legacy": "on", "iommu_platform": true' ;;
esac
export more
cat >/tmp/add <<'END'
. /etc/guest.sh
# QEMU is done with a device, and with its disk, some time after the kernel: each has its own
echo $(($(cat /tmp/nr) + 1)) >/tmp/nr
id=hot$(cat /tmp/nr)
disk="{\"driver\": \"null-co\", \"node-name\": \"$id\", \"size\": 67108864, \"read-zeroes\": true}"
device="{\"id\": \"$id\", \"bus\": \"rp0\", \"drive\": \"$id\", $more}"
qmp blockdev-add "$disk" && until_true qmp device_add "$device" &&
	until_true [ -e /sys/bus/pci/devices/0000:01:00.0/driver ] && bind 0000:01:00.0 vfio-pci
END
cat >/tmp/del <<'END'
. /etc/guest.sh
qmp device_del "{\"id\": \"hot$(cat /tmp/nr)\"}"
END
echo 0 >/tmp/nr
plx-blk-hotplug -l 0 --in-memory --no-telemetry -- "${ROUNDS:-20}" "vfio=$MODES" \
	"sh /tmp/add" "sh /tmp/del" || failed=1

# the tester tells of it, and accounts for all
sh /tmp/add >/dev/null
plx-testblk -l 0 --in-memory --no-telemetry -- --dev "pci:0000:01:00.0,vfio=$MODES" --time 30 \
	>/tmp/tester 2>&1 &
is_open() { ls -l /proc/$!/fd | grep -q vfio; }
until_true is_open
sleep 1
sh /tmp/del >/dev/null
wait $!
cat /tmp/tester
check "plx-testblk: it was removed" grep -q "$name was removed" /tmp/tester
check "plx-testblk: an account" awk '$4 + 0 > 1000 && $4 == $5 + $6 && $6 > 0 { ok = 1 }
	END { exit !ok }' /tmp/tester

gone() { [ ! -e /sys/bus/pci/devices/0000:01:00.0 ]; }
until_true gone || failed=1
dmesg | grep 'DMAR:.*fault' && failed=1
[ $failed = 0 ] || dmesg | tail -n 30
exit $failed
