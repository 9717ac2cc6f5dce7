/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_TRACE_H
#define PLX_TRACE_H
/**
 * @file
 * Static probes (USDT): places where bpftrace, perf, SystemTap and gdb can watch a running program.
 *
 * PLX_TRACE(name, ...) with 1 to 8 arguments is a nop, and a note in the ELF file that says where
 * it is and where the arguments are to be found: in registers, or in memory from where nothing is
 * loaded for it. So arguments are variables and members, not calculations. Without PLX_TRACE_SDT,
 * which a build of Pollux defines where it has <sys/sdt.h>, it is nothing.
 *
 * rte_trace is no choice: what registers a trace point is experimental up to DPDK 22.11, and its
 * points test a word and branch where these do nothing.
 */
#ifdef PLX_TRACE_SDT
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
/** A probe of provider "pollux". */
#define PLX_TRACE(name, ...) STAP_PROBEV(pollux, name, __VA_ARGS__)
#else
#define PLX_TRACE(name, ...) ((void)0)
#endif

#endif
