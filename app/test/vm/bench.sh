# SPDX-License-Identifier: BSD-3-Clause
# The kernel's driver and ours, in turns: bench.py tells.
. /etc/guest.sh
hugepages 128
echo "$(cat /sys/module/nvme/parameters/poll_queues) poll queues"
python3 /etc/bench.py "$ROUNDS" "$SECONDS_EACH"
