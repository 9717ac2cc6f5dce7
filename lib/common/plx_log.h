/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_LOG_H
#define PLX_LOG_H
/**
 * @file
 * Logging inside Pollux: one log type a component, one line where a cause is known.
 *
 * A component's .c file says PLX_LOG_TYPE(vfio, NOTICE) once, and its others
 * PLX_LOG_USE(vfio); then PLX_LOG(ERR, "%s: group %d is not viable: ...", ...).
 */
#include <rte_log.h>

#define PLX_LOG_USE(comp)                                                 \
	extern int plxp_logtype_##comp;                                   \
	__attribute__((unused)) static inline int plxp_logtype_here(void) \
	{                                                                 \
		return plxp_logtype_##comp;                               \
	}                                                                 \
	extern int plxp_logtype_##comp
#define PLX_LOG_TYPE(comp, level)                                  \
	RTE_LOG_REGISTER(plxp_logtype_##comp, pollux.comp, level); \
	PLX_LOG_USE(comp)

/** One line, newline added. level: ERR, WARNING, NOTICE, INFO, DEBUG. */
#define PLX_LOG(level, fmt, ...) \
	rte_log(RTE_LOG_##level, (uint32_t)plxp_logtype_here(), "pollux: " fmt "\n", ##__VA_ARGS__)

#endif
