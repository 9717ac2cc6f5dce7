# SPDX-License-Identifier: BSD-3-Clause
# Every way to drive each of the guest's controllers, the whole table. $CONTROLLERS: BDF=NAME...
. /etc/lib.sh

# Who may: root, or a user who was given the nodes.
run_as()
{
	local who=$1
	shift

	if [ "$who" = root ]; then
		"$@"
	else
		as_user 131072 "$@"
	fi
}

# row WHO MODE BDF NAME OPTION
row()
{
	local who=$1 dev="pci:$3,vfio=$2$5" queues

	what="$2, $who, $4$5"
	check "$what: conformance" run_as "$who" plx-conformance $eal -- "$dev" --seconds 1
	check "$what: helloworld" run_as "$who" helloworld "$dev"
	for queues in 1 4; do
		check "$what: verified writes, $queues queues" run_as "$who" plx-testblk $eal -- --dev "$dev" \
			--allow-write --rw randwrite --size 8M --verify crc32c --queues $queues
	done
}

for mode in $MODES; do
	for who in root user; do
		for controller in $CONTROLLERS; do
			bdf=${controller%%=*}
			[ $mode != noiommu ] || [ $who = root ] || continue # it takes CAP_SYS_RAWIO
			bind "$bdf" vfio-pci
			if [ $who = root ]; then
				check "$mode, ${controller#*=}: written by the kernel, read by us" \
					written_by_kernel "$bdf" vfio=$mode
				check "$mode, ${controller#*=}: written by us, read by the kernel" \
					read_by_kernel "$bdf" vfio=$mode
			fi
			[ $who = root ] || chown 1000 $(vfio_nodes $mode "$bdf")
			for option in "" ,sgl=0; do
				row $who $mode "$bdf" "${controller#*=}" "$option"
			done
		done
	done
done
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
