/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Features (NVMe 1.4, 5.14 and 5.21). None is saveable: Save and Select is offered, so that a
 * host may ask.
 */
#include <string.h>

#include "nvmet_priv.h"

#define SV (1u << 31)
#define CAP_CHANGEABLE 4u /* result of Select 3 */
#define TEMP_OVER 0u
#define TEMP_UNDER 1u

/* Bits of each feature that are kept as set; 0: not one of these. */
static const uint32_t kept[] = {
	[NVME_FEAT_FID_ARBITRATION] = 0xffffff07,
	[NVME_FEAT_FID_POWER_MGMT] = 0x000000ff,
	[NVME_FEAT_FID_ERR_RECOVERY] = 0x0001ffff,
	[NVME_FEAT_FID_VOLATILE_WC] = 0x00000001,
	[NVME_FEAT_FID_IRQ_COALESCE] = 0x0000ffff,
	[NVME_FEAT_FID_WRITE_ATOMIC] = 0x00000001,
	[NVME_FEAT_FID_ASYNC_EVENT] = 0xff | NVME_CTRL_OAES_NA,
};

/* What a reset brings back, of the kept ones. */
static uint32_t
initial(const struct plx_nvmet *c, uint32_t fid)
{
	switch (fid) {
	case NVME_FEAT_FID_ARBITRATION:
		return 7; /* no limit to a burst */
	case NVME_FEAT_FID_VOLATILE_WC:
		return c->vwc;
	default:
		return 0;
	}
}

void
nvmet_features_reset(struct plx_nvmet *c)
{
	uint32_t fid;

	for (fid = 0; fid < RTE_DIM(kept); fid++)
		c->feat[fid] = initial(c, fid);
	c->temp_over = UINT16_MAX;
	c->temp_under = 0;
	memset(c->vec_cd, 0, sizeof(c->vec_cd));
	c->fua_all = c->flushing = 0;
	c->lbafee = false;
}

uint8_t
nvmet_critical(const struct plx_nvmet *c)
{
	return NVMET_KELVIN >= c->temp_over || NVMET_KELVIN <= c->temp_under
		       ? NVME_SMART_CRIT_TEMPERATURE
		       : 0;
}

/* There is one thermometer, and it stands still. */
static uint16_t
set_temp(struct plx_nvmet *c, uint32_t v)
{
	uint32_t sensor = v >> 16 & 0xf, type = v >> 20 & 3;

	if ((sensor != 0 && sensor != 0xf) || type > TEMP_UNDER)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (type == TEMP_OVER)
		c->temp_over = (uint16_t)v;
	else
		c->temp_under = (uint16_t)v;
	if (nvmet_critical(c) != 0)
		nvmet_event(c, NVME_AER_SMART, NVME_AER_SMART_TEMPERATURE_THRESHOLD,
			NVME_LOG_LID_SMART);
	return 0;
}

static uint16_t
set_queues(struct plx_nvmet *c, uint32_t v, uint32_t *result)
{
	uint32_t nsq = v & 0xffff, ncq = v >> 16;

	if (nsq == UINT16_MAX || ncq == UINT16_MAX)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (nvmet_has_queues(c))
		return NVMET_ERR(GENERIC, CMD_SEQ_ERROR);
	c->nsq_alloc = (uint16_t)RTE_MIN(nsq + 1, (uint32_t)c->max_queues);
	c->ncq_alloc = (uint16_t)RTE_MIN(ncq + 1, (uint32_t)c->max_queues);
	*result = (c->nsq_alloc - 1u) | (c->ncq_alloc - 1u) << 16;
	return 0;
}

static uint16_t
set_vector(struct plx_nvmet *c, uint32_t v)
{
	uint32_t iv = v & 0xffff, bit;

	if (iv >= c->vectors)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	bit = 1u << iv % 32;
	if ((v >> 16 & 1) != 0)
		c->vec_cd[iv / 32] |= bit;
	else
		c->vec_cd[iv / 32] &= ~bit;
	return 0;
}

/*
 * With the cache off, every write is forced out. What was written before is flushed first: a host
 * that hears of the end need not flush any more.
 */
static uint32_t
set_cache(struct plx_nvmet *c, uint16_t cid, uint32_t v)
{
	bool on = (v & 1) != 0;
	uint32_t i;

	if (!c->vwc)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (!on && (c->nfree < c->nns || c->flushing != 0))
		return NVMET_SC(GENERIC, CMD_INTERRUPTED);
	c->feat[NVME_FEAT_FID_VOLATILE_WC] = on;
	c->fua_all = on ? 0 : NVMET_DW12_FUA;
	for (i = 0; !on && i < c->nns; i++)
		c->flushing += nvmet_flush_quiet(c, &c->ns[i]);
	if (on || c->flushing == 0)
		return 0;
	c->flush_cid = cid;
	c->flush_status = 0;
	return NVMET_LATER;
}

void
nvmet_cache_flushed(struct plx_nvmet *c, uint16_t status)
{
	if (c->flushing == 0)
		return;
	if (status != 0)
		c->flush_status = status;
	if (--c->flushing == 0)
		nvmet_admin_done(c, c->flush_cid, c->flush_status, 0);
}

static uint16_t
set_kept(struct plx_nvmet *c, uint32_t fid, uint32_t v)
{
	if (fid == NVME_FEAT_FID_POWER_MGMT && (v & 0x1f) != 0) /* one power state */
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (fid == NVME_FEAT_FID_ERR_RECOVERY && (v >> 16 & 1) != 0) /* no DULBE */
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	c->feat[fid] = v & kept[fid];
	return 0;
}

/* Host Behavior Support, for namespaces of extended formats: LBAFEE is its third byte. */
static uint16_t
set_behavior(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint16_t rc;

	if (!c->elbas)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	rc = nvmet_data_get(c, e, c->page, 512);
	if (rc == 0)
		c->lbafee = c->page[2] == 1;
	return rc;
}

static uint16_t
get_behavior(struct plx_nvmet *c, const struct nvmet_sqe *e, bool current)
{
	uint8_t now[3] = {0, 0, current && c->lbafee};

	return nvmet_data_put(c, e, now, sizeof(now), 512);
}

uint32_t
nvmet_set_features(struct plx_nvmet *c, const struct nvmet_sqe *e, uint32_t *result)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10), v = rte_le_to_cpu_32(e->cdw11);
	uint32_t fid = dw10 & 0xff;

	if ((dw10 & SV) != 0)
		return NVMET_ERR(CMD_SPECIFIC, FEATURE_NOT_SAVEABLE);
	switch (fid) {
	case NVME_FEAT_FID_IOCS_PROFILE: /* the one combination there is */
		if (!c->zns)
			return NVMET_ERR(GENERIC, INVALID_FIELD);
		return (v & 0x1ff) == 0 ? 0 : NVMET_ERR(GENERIC, IOCS_COMBINATION_REJECTED);
	case NVME_FEAT_FID_HOST_BEHAVIOR:
		return set_behavior(c, e);
	case NVME_FEAT_FID_TEMP_THRESH:
		return set_temp(c, v);
	case NVME_FEAT_FID_VOLATILE_WC:
		return set_cache(c, e->cid, v);
	case NVME_FEAT_FID_NUM_QUEUES:
		return set_queues(c, v, result);
	case NVME_FEAT_FID_IRQ_CONFIG:
		return set_vector(c, v);
	case NVME_FEAT_FID_HOST_ID:
		return nvmet_set_host(c, e);
	case NVME_FEAT_FID_RESV_MASK: /* there is nothing to tell */
		return 0;
	case NVME_FEAT_FID_RESV_PERSIST:
		return (v & 1) == 0 ? 0 : NVMET_ERR(GENERIC, INVALID_FIELD);
	default:
		if (fid >= RTE_DIM(kept) || kept[fid] == 0)
			return NVMET_ERR(GENERIC, INVALID_FIELD);
		return set_kept(c, fid, v);
	}
}

static uint16_t
get_temp(const struct plx_nvmet *c, uint32_t v, bool current, uint32_t *result)
{
	uint32_t sensor = v >> 16 & 0xf, type = v >> 20 & 3;

	if (sensor != 0 || type > TEMP_UNDER)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (type == TEMP_OVER)
		*result = current ? c->temp_over : UINT16_MAX;
	else
		*result = current ? c->temp_under : 0;
	return 0;
}

static uint16_t
get_vector(const struct plx_nvmet *c, uint32_t v, bool current, uint32_t *result)
{
	uint32_t iv = v & 0xffff;

	if (iv >= c->vectors)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	*result = iv | (current ? (c->vec_cd[iv / 32] >> iv % 32 & 1) << 16 : 0);
	return 0;
}

uint16_t
nvmet_get_features(struct plx_nvmet *c, const struct nvmet_sqe *e, uint32_t *result)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10), v = rte_le_to_cpu_32(e->cdw11);
	uint32_t fid = dw10 & 0xff, select = dw10 >> 8 & 7;
	bool current = select == NVME_GET_FEATURES_SEL_CURRENT;
	bool ours = fid == NVME_FEAT_FID_TEMP_THRESH || fid == NVME_FEAT_FID_NUM_QUEUES ||
		    fid == NVME_FEAT_FID_IRQ_CONFIG || fid == NVME_FEAT_FID_HOST_ID ||
		    fid == NVME_FEAT_FID_RESV_MASK || fid == NVME_FEAT_FID_RESV_PERSIST ||
		    (fid == NVME_FEAT_FID_HOST_BEHAVIOR && c->elbas) ||
		    (fid == NVME_FEAT_FID_IOCS_PROFILE && c->zns) ||
		    (fid < RTE_DIM(kept) && kept[fid] != 0);

	if (!ours || select > NVME_GET_FEATURES_SEL_SUPPORTED ||
		(fid == NVME_FEAT_FID_VOLATILE_WC && !c->vwc))
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (select == NVME_GET_FEATURES_SEL_SUPPORTED) {
		*result = CAP_CHANGEABLE;
		return 0;
	}
	switch (fid) {
	case NVME_FEAT_FID_IOCS_PROFILE:
	case NVME_FEAT_FID_RESV_MASK:
	case NVME_FEAT_FID_RESV_PERSIST:
		*result = 0;
		return 0;
	case NVME_FEAT_FID_HOST_ID:
		return nvmet_get_host(c, e, current);
	case NVME_FEAT_FID_HOST_BEHAVIOR:
		return get_behavior(c, e, current);
	case NVME_FEAT_FID_TEMP_THRESH:
		return get_temp(c, v, current, result);
	case NVME_FEAT_FID_IRQ_CONFIG:
		return get_vector(c, v, current, result);
	case NVME_FEAT_FID_NUM_QUEUES:
		*result = current ? (c->nsq_alloc - 1u) | (c->ncq_alloc - 1u) << 16
				  : (c->max_queues - 1u) * 0x10001u;
		return 0;
	default:
		*result = current ? c->feat[fid] : initial(c, fid);
		return 0;
	}
}
