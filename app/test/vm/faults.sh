# SPDX-License-Identifier: BSD-3-Clause
# In a guest with an NVMe controller at 3, and one at 4 whose medium fails reads of blocks 7 and 100
# and writes of block 9: errors end the right requests, and resets under load lose nothing, attached with
# each of $KEYS.
. /etc/lib.sh

EIO=5 ENODATA=61 good=0000:00:03.0 bad=0000:00:04.0
errors() { plx-blk-errors $eal -- "pci:$bad,vfio=$1" "$2" 256 $3; }

bind $good vfio-pci
bind $bad vfio-pci
for mode in $MODES; do
	check "$mode: reads that fail" errors "$mode" read "7=$ENODATA 100=$ENODATA"
	check "$mode: writes that fail" errors "$mode" write "9=$EIO"
	refused "$mode: a fault that is not expected" "block 100: " errors "$mode" read "7=$ENODATA"
	for keys in $KEYS; do
		check "$mode, $keys: reset every 50 ms under verified load" \
			plx-blk-resets $eal -- "pci:$good,vfio=$mode,$keys" "$RESETS" 50
		tail -n 1 /tmp/out
	done
done
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
