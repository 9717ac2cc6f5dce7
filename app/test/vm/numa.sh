# SPDX-License-Identifier: BSD-3-Clause
# In a guest with two nodes, a CPU each, and an NVMe controller on node 1: so are the memory of its
# queues, and the lcore that a single queue runs on.
. /etc/lib.sh

bdf=$(basename "$(dirname "$(ls -d /sys/bus/pci/devices/*/nvme)")")
echo "the controller is $bdf, on node $(cat /sys/bus/pci/devices/"$bdf"/numa_node)"
for node in 0 1; do
	echo 64 >/sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages
done
bind "$bdf" vfio-pci

lcore_of()
{
	plx-testblk $eal -- --dev "pci:$bdf" --time 0.2 --json /tmp/json "$@" >/dev/null
	grep -o '"lcore": *[0-9]*' /tmp/json | sed 's/.*: *//'
}

check "the kernel knows the node" test "$(cat /sys/bus/pci/devices/"$bdf"/numa_node)" = 1
for memory in "" "--socket-mem 32,32"; do
	check "queue memory${memory:+, $memory}" plx-blk-node $eal $memory -- "pci:$bdf"
	cat /tmp/out
done
check "the lcore of a single queue" test "$(lcore_of --queues 1)" = 1
exit $failed
