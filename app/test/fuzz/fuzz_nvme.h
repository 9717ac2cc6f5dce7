/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_NVME_H
#define FUZZ_NVME_H
#include "fuzz.h"

void ctrl_init(void);
/* A controller as the input has it. @return the string to attach it with */
const char *ctrl_begin(void);
/* Something that it does by itself. */
void ctrl_mischief(void);
/* @return it has a command whose data lies there, and has not been told to let go of it */
bool ctrl_may_write(const void *va, size_t len);

#endif
