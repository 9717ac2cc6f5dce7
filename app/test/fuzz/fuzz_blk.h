/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_BLK_H
#define FUZZ_BLK_H
/* What fuzz_blk.c wants of a device. */
#include "fuzz.h"

void dev_init(void);
/* A device as the input has it. @return the string to attach it with */
const char *dev_begin(void);
void dev_end(void);
/* Something that it does by itself. */
void dev_mischief(void);
/* @return it may write there: it was given it, and has not been told to let go, nor said so */
bool dev_may_write(const void *va, size_t len);

#endif
