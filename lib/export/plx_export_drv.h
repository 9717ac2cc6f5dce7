/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_EXPORT_DRV_H
#define PLX_EXPORT_DRV_H
/**
 * @file
 * Exports: what a protocol in drivers/export includes. One folder a protocol; its meson.build
 * adds the name of its struct plx_exporter to plx_exporters.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plx_export.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_EXPORT_DEVS 32
#define PLX_EXPORT_ARGS 16

/** An export, as its protocol sees it. */
struct plx_export {
	const struct plx_exporter *drv;
	void *priv;       /**< the protocol's */
	char *str;        /**< as given, for messages */
	char *name;       /**< "vfio-user:/path/sock" */
	const char *addr; /**< where: what follows the ':' in name */
	uint32_t nb_devs, nb_args;
	const char *devs[PLX_EXPORT_DEVS]; /**< one at least; all are attached */
	struct {
		const char *key, *val;
	} args[PLX_EXPORT_ARGS]; /**< without dev; keys are known and there once */
	char *parts;             /**< private: what devs and args point into */
};

/** A protocol. */
struct plx_exporter {
	const char *name;        /**< what its export strings begin with */
	const char *help;        /**< the form of its export string, one line */
	const char *const *keys; /**< accepted beside dev, ended by NULL */
	/** Set exp->priv and begin to serve. @return 0 or -errno with one line logged and nothing
	 * left behind */
	int (*create)(struct plx_export *exp);
	int (*poll)(void *priv);   /**< @return how much was done */
	bool (*quiet)(void *priv); /**< see plx_export_quiet(); NULL: never */
	void (*destroy)(void *priv);
	void (*stats)(const void *priv, struct plx_export_stats *st);
};

/** The protocols of this build, ended by NULL: generated from its options. */
extern const struct plx_exporter *const plx_builtin_exporters[];

/** @return an argument's value, NULL when it wasn't given */
const char *plx_export_arg(const struct plx_export *exp, const char *key);
/** A number within [min, max], def when absent. @return 0; -EINVAL with one line logged */
int plx_export_arg_u32(const struct plx_export *exp, const char *key, uint32_t min, uint32_t max,
	uint32_t def, uint32_t *out);
/** 0 or 1. @return 0; -EINVAL with one line logged */
int plx_export_arg_bool(const struct plx_export *exp, const char *key, bool def, bool *out);

#ifdef __cplusplus
}
#endif
#endif
