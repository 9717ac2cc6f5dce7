/* SPDX-License-Identifier: BSD-3-Clause */
/* VERSION: the first message, the only one with JSON in it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "vfu_priv.h"

#define MAX_JSON 16384 /* bytes; a parsed tree takes many times as much */
#define MAX_DEPTH 8

/* A capability that is a number, if it is there. */
static int
get_number(json_object *caps, const char *key, int64_t *out)
{
	json_object *val;

	if (!json_object_object_get_ex(caps, key, &val))
		return 0;
	if (!json_object_is_type(val, json_type_int))
		return -EINVAL;
	*out = json_object_get_int64(val);
	return *out < 0 ? -EINVAL : 0;
}

/* Read what matters here; known keys of a wrong type are an error, unknown ones are not. */
static int
read_caps(struct plx_vfu *v, json_object *caps)
{
	int64_t fds = v->peer_fds, ignored = 0;
	json_object *val;

	if (!json_object_is_type(caps, json_type_object))
		return -EINVAL;
	if (get_number(caps, "max_msg_fds", &fds) != 0 ||
		get_number(caps, "max_data_xfer_size", &ignored) != 0 ||
		get_number(caps, "max_dma_maps", &ignored) != 0 ||
		get_number(caps, "pgsizes", &ignored) != 0)
		return -EINVAL;
	v->peer_fds = fds > VFIO_USER_SCM_MAX_FD ? VFIO_USER_SCM_MAX_FD : (uint32_t)fds;
	if (json_object_object_get_ex(caps, "write_multiple", &val)) {
		if (!json_object_is_type(val, json_type_boolean))
			return -EINVAL;
		v->write_multi = json_object_get_boolean(val) != 0;
	}
	return 0;
}

static int
parse_json(struct plx_vfu *v, const char *text, uint32_t len)
{
	json_tokener *tok = json_tokener_new_ex(MAX_DEPTH);
	json_object *root = NULL, *caps;
	int rc = -EINVAL;

	if (tok == NULL)
		return -ENOMEM;
	root = json_tokener_parse_ex(tok, text, (int)len);
	if (json_tokener_get_error(tok) == json_tokener_success &&
		json_object_is_type(root, json_type_object)) {
		rc = 0;
		if (json_object_object_get_ex(root, "capabilities", &caps))
			rc = read_caps(v, caps);
	}
	json_object_put(root);
	json_tokener_free(tok);
	return rc;
}

/*
 * Twin sockets are never offered: nothing is sent to the client but replies. What the client
 * doesn't accept (write_multiple) isn't offered either, as capabilities only shrink.
 */
static int
reply_version(struct plx_vfu *v, uint16_t minor)
{
	struct vfio_user_version ver = {VFIO_USER_MAJOR, minor};
	char json[256];
	uint8_t *out;
	int len;

	len = snprintf(json, sizeof(json),
		"{\"capabilities\":{\"max_msg_fds\":%d,\"max_data_xfer_size\":%u,"
		"\"max_dma_maps\":%d,\"pgsizes\":%d%s}}",
		VFU_MAX_MSG_FDS, VFU_MAX_XFER, VFU_MAX_DMA_MAPS, VFU_PGSIZE,
		v->write_multi ? ",\"write_multiple\":true" : "");
	out = vfu_reply(v, sizeof(ver) + (size_t)len + 1);
	if (out == NULL)
		return -ENOMEM;
	memcpy(out, &ver, sizeof(ver));
	memcpy(out + sizeof(ver), json, (size_t)len + 1);
	return 0;
}

int
vfu_version(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_version ver;
	const char *json = (const char *)m->body + sizeof(ver);
	uint32_t len = m->len - (uint32_t)sizeof(ver);
	int rc;

	if (v->state != VFU_HELLO || m->nb_fds != 0)
		return -EINVAL;
	memcpy(&ver, m->body, sizeof(ver));
	if (ver.major != VFIO_USER_MAJOR)
		return -EINVAL;
	v->peer_fds = VFIO_USER_DEFAULT_MAX_MSG_FDS;
	v->write_multi = false;
	if (len > 0) {
		if (len > MAX_JSON || json[len - 1] != '\0' || strlen(json) != len - 1)
			return -EINVAL;
		rc = parse_json(v, json, len);
		if (rc != 0)
			return rc;
	}
	rc = reply_version(v, ver.minor < VFIO_USER_MINOR ? ver.minor : VFIO_USER_MINOR);
	if (rc == 0)
		v->state = VFU_SERVING;
	return rc;
}
