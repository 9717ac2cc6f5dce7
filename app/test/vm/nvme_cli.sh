# SPDX-License-Identifier: BSD-3-Clause
# In a guest with an NVMe controller at 3: plx-nvme beside nvme-cli, on the same controller.
. /etc/guest.sh

nvme=0000:00:03.0
ours() { plx-nvme --in-memory --no-telemetry -- "$@"; }
there() { [ -b /dev/nvme0n1 ]; }
hugepages 64

until_true there
nvme id-ctrl /dev/nvme0 -o json >/tmp/kernel.id-ctrl
nvme id-ns /dev/nvme0n1 -o json >/tmp/kernel.id-ns
nvme smart-log /dev/nvme0 -o json >/tmp/kernel.smart-log
nvme fw-log /dev/nvme0 -o json >/tmp/kernel.fw-log
bind $nvme vfio-pci
for log in id-ctrl id-ns smart-log fw-log; do
	ours $log pci:$nvme -o json >/tmp/ours.$log || failed=1
	check "$log" python3 /bin/compare_json.py $log /tmp/kernel.$log /tmp/ours.$log
done
ours list -o json
check "list" ours list
check "id-ctrl as text" ours id-ctrl pci:$nvme
exit $failed
