/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "port.h"

#define NB_PKTS 4095

int
port_start(uint16_t port, uint16_t priv, struct rte_mempool **pool)
{
	const struct rte_eth_conf conf = {0};
	int socket = rte_eth_dev_socket_id(port), rc;

	*pool = rte_pktmbuf_pool_create(
		"packets", NB_PKTS, 256, priv, RTE_MBUF_DEFAULT_BUF_SIZE, socket < 0 ? 0 : socket);
	if (*pool == NULL)
		return -rte_errno;
	rc = rte_eth_dev_configure(port, 1, 1, &conf);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(port, 0, 256, (unsigned int)socket, NULL, *pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(port, 0, 256, (unsigned int)socket, NULL);
	return rc == 0 ? rte_eth_dev_start(port) : rc;
}
