# SPDX-License-Identifier: BSD-3-Clause
# In a guest with NVMe controllers whose namespaces have metadata, with protection information or
# without, by each of $MODES; then with the keys $MORE, too. $CONTROLLERS: BDF=NAME...
. /etc/lib.sh

# Data and tags that the device makes and checks, that the tester does, or metadata as such.
checked()
{
	local kind kinds="--meta"

	[ "${name#*pi}" = "$name" ] || kinds="--pi=act --pi=host"
	for kind in $kinds; do
		verified "$1" "$kind" || return
	done
}

for mode in $MODES; do
	for controller in $CONTROLLERS; do
		bdf=${controller%%=*} name=${controller#*=}
		bind $bdf vfio-pci
		# QEMU checks the tags of blocks that nobody wrote
		check "$mode, $name: filled" plx-testblk $eal -- --allow-write \
			--dev "pci:$bdf,vfio=$mode" --rw write --bs 64k --size 7M
		for more in "" $MORE; do
			# QEMU mixes data and tags of writes to a block that are in flight together
			check "$mode, $name$more: conformance" conformance "pci:$bdf,vfio=$mode$more" --no-races
			check "$mode, $name$more: verified" checked "pci:$bdf,vfio=$mode$more"
		done
		# the kernel's driver knows protection information, in metadata that is separate
		case $name in *-8-pi*-separate)
			check "$mode, $name: written by the kernel, read by us" \
				written_by_kernel $bdf vfio=$mode
			check "$mode, $name: written by us, read by the kernel" \
				read_by_kernel $bdf vfio=$mode ;;
		esac
	done
done
dmesg | grep 'DMAR:.*fault' && failed=1
exit $failed
