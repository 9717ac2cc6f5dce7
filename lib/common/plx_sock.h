/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_SOCK_H
#define PLX_SOCK_H
/**
 * @file
 * Bytes and file descriptors on connected UNIX stream sockets, as vfio-user and vhost-user send
 * them. Nothing blocks, and nothing raises SIGPIPE. Any thread, one at a time for each direction.
 */
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_SOCK_FDS 253 /**< descriptors at once: SCM_MAX_FD of Linux */

/**
 * Send as many bytes as the socket takes.
 * @param sock  the socket
 * @param buf   bytes
 * @param len   how many, at least one
 * @param fds   descriptors, which leave with the first byte; they stay open here
 * @param nfds  how many, up to PLX_SOCK_FDS
 * @return how many bytes left; -EAGAIN none, there is no room now; -EPIPE, -ECONNRESET the other
 *         side is gone; -EBADF one of fds isn't open; -ETOOMANYREFS descriptors under way, the
 *         other side has to read first; -ENOBUFS; -ENOMEM; other -errno of sendmsg(2)
 */
ssize_t plx_sock_send(int sock, const void *buf, size_t len, const int *fds, unsigned int nfds);

/**
 * Receive up to len bytes. Descriptors that come along are close-on-exec, and the caller's.
 * @param sock  the socket
 * @param buf   where to
 * @param len   room, at least one byte
 * @param fds   where descriptors go, behind those already there
 * @param nfds  how many are there, before and after
 * @param room  how many find room in fds
 * @return how many bytes came; -EAGAIN none yet; -ECONNRESET the other side is gone; -EMFILE more
 *         descriptors came than there is room for, or than this process may have: those are closed,
 *         and the bytes lost; other -errno of recvmsg(2)
 */
ssize_t plx_sock_recv(
	int sock, void *buf, size_t len, int *fds, unsigned int *nfds, unsigned int room);

#ifdef __cplusplus
}
#endif
#endif
