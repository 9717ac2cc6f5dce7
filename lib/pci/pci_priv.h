/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PCI_PRIV_H
#define PCI_PRIV_H
#include <stddef.h>

#include "plx_pci.h"

/* pci_uevent.c: take a message of the kernel apart: strings, each with its NUL. @return whether it
 * is about a function, and one of the events there are */
bool pci_uevent_parse(const char *msg, size_t len, struct plx_pci_uevent *ev);

#endif
