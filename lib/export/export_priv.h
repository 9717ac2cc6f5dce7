/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPORT_PRIV_H
#define EXPORT_PRIV_H

#include "plx_export_drv.h"

/* Take exp->str apart; logs what is wrong. Frees nothing. @return 0, -EINVAL, -ENOENT, -ENOMEM */
int export_parse(struct plx_export *exp);

#endif
