/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_H
#define PORT_H
/* A port with one queue each way. */
#include <rte_mempool.h>

/* Start it, receiving into a new pool whose packets have priv bytes before their room.
 * @return 0 or -errno */
int port_start(uint16_t port, uint16_t priv, struct rte_mempool **pool);

#endif
