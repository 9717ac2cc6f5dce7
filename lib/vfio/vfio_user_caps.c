/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <json-c/json.h>

#include "vfio_user_priv.h"

/* A known key of another type, or out of range, is an error: the server means something that we
 * would not do. Unknown keys are ignored. */
static int
number(const struct json_object *caps, const char *key, uint64_t min, uint64_t max, uint64_t *v,
	const char **why)
{
	struct json_object *o;

	if (!json_object_object_get_ex(caps, key, &o))
		return 0;
	*why = key;
	if (!json_object_is_type(o, json_type_int) || json_object_get_int64(o) < 0)
		return -EPROTO;
	*v = json_object_get_uint64(o);
	return *v < min || *v > max ? -EPROTO : 0;
}

static int
read_caps(const struct json_object *json, struct vfio_user_caps *caps, const char **why)
{
	uint64_t fds = caps->max_msg_fds, xfer = caps->max_data_xfer_size;
	uint64_t maps = caps->max_dma_maps;
	struct json_object *o;
	int rc;

	*why = "not an object";
	if (!json_object_is_type(json, json_type_object))
		return -EPROTO;
	if (!json_object_object_get_ex(json, "capabilities", &o))
		return 0;
	*why = "capabilities";
	if (!json_object_is_type(o, json_type_object))
		return -EPROTO;
	/* a register has 8 bytes; memory is shared by descriptors */
	rc = number(o, "max_msg_fds", 1, UINT32_MAX, &fds, why);
	if (rc == 0)
		rc = number(o, "max_data_xfer_size", 8, UINT32_MAX, &xfer, why);
	if (rc == 0)
		rc = number(o, "max_dma_maps", 1, UINT32_MAX, &maps, why);
	if (rc == 0)
		rc = number(o, "pgsizes", 1, UINT64_MAX, &caps->pgsizes, why);
	caps->max_msg_fds = (uint32_t)fds;
	caps->max_data_xfer_size = (uint32_t)xfer;
	caps->max_dma_maps = (uint32_t)maps;
	return rc;
}

int
vfio_user_caps_parse(const char *text, size_t len, struct vfio_user_caps *caps, const char **why)
{
	struct json_tokener *tok;
	struct json_object *json;
	int rc;

	*caps = (struct vfio_user_caps){
		.max_msg_fds = VFIO_USER_DEFAULT_MAX_MSG_FDS,
		.max_data_xfer_size = VFIO_USER_DEFAULT_MAX_DATA_XFER_SIZE,
		.max_dma_maps = VFIO_USER_DEFAULT_MAX_DMA_MAPS,
		.pgsizes = VFIO_USER_DEFAULT_PGSIZE,
	};
	if (len == 0)
		return 0;
	*why = "no NUL at its end";
	if (len > INT32_MAX || text[len - 1] != '\0')
		return -EPROTO;
	tok = json_tokener_new();
	if (tok == NULL)
		return -ENOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* with its NUL, so that a number at the end is seen to end */
	json = json_tokener_parse_ex(tok, text, (int)strlen(text) + 1);
	*why = "not JSON";
	rc = json_tokener_get_error(tok) == json_tokener_success ? read_caps(json, caps, why)
								 : -EPROTO;
	json_object_put(json);
	json_tokener_free(tok);
	return rc;
}
