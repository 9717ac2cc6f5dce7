/* SPDX-License-Identifier: BSD-3-Clause */
/* Every public header is included above this by run.sh: a C++ program that uses the library. */
#include <cstdio>

int
main(int argc, char **argv)
{
	struct plx_blk_info info;
	struct plx_blk *blk;
	int rc = plx_eal_init_app(argc, argv);

	if (rc < 0 || plx_attach("ram:size=16M,name=r0", nullptr) != 0 ||
		plx_blk_open("r0", 0, &blk) != 0 || plx_blk_info_get(blk, &info) != 0)
		return 1;
	std::printf("%s: %zu bytes\n", info.name, plx_blk_bytes(&info, (uint32_t)info.nblocks));
	if (plx_blk_close(blk) != 0 || plx_detach_all() != 0)
		return 1;
	return plx_eal_cleanup();
}
