/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reservations (NVMe Base 2.0, 8.19, and the commands of its section 7). Hosts come one after the
 * other, each with the identifier that it sets (5.27.1.25); what they registered stays when they
 * leave, until this process ends. Of a host without an identifier it goes with a reset.
 *
 * The fast path knows nothing of it: a namespace that this host may not read or write as it likes
 * is none of its.
 */
#include <stdlib.h>
#include <string.h>

#include "nvmet_priv.h"

#define HOSTS 32 /* registered to a namespace */

struct registrant {
	uint8_t host[16];
	uint64_t key;
};

struct nvmet_resv {
	uint32_t gen;
	uint8_t type; /* enum nvme_resv_rtype, 0: nobody holds it */
	uint8_t holder[16];
	uint32_t nb;
	struct registrant reg[HOSTS];
};

/* Every registrant holds it. */
static bool
of_all(uint8_t type)
{
	return type >= NVME_RESERVATION_RTYPE_WEAR;
}

static bool
registrants_pass(uint8_t type)
{
	return type >= NVME_RESERVATION_RTYPE_WERO;
}

/* Reads conflict as well. */
static bool
exclusive(uint8_t type)
{
	return type != 0 && type % 2 == 0;
}
static_assert(NVME_RESERVATION_RTYPE_EA == 2 && NVME_RESERVATION_RTYPE_EARO == 4 &&
		      NVME_RESERVATION_RTYPE_EAAR == 6,
	"the even ones");

static struct registrant *
find(struct nvmet_resv *r, const uint8_t host[16])
{
	uint32_t i;

	for (i = 0; i < r->nb; i++)
		if (memcmp(r->reg[i].host, host, sizeof(r->reg[i].host)) == 0)
			return &r->reg[i];
	return NULL;
}

static bool
holds(const struct nvmet_resv *r, const uint8_t host[16])
{
	return r->type != 0 && (of_all(r->type) || memcmp(r->holder, host, sizeof(r->holder)) == 0);
}

/* What this host may not do now. */
static void
judge(struct plx_nvmet *c, struct nvmet_ns *ns)
{
	struct nvmet_resv *r = ns->resv;
	bool pass;

	ns->deny = 0;
	if (r != NULL && r->type != 0) {
		pass = find(r, c->host) != NULL && (registrants_pass(r->type) || holds(r, c->host));
		if (!pass)
			ns->deny = NVMET_DENY_WRITE | (exclusive(r->type) ? NVMET_DENY_READ : 0);
	}
	nvmet_ns_open(ns);
}

static void
unregister(struct nvmet_resv *r, struct registrant *reg)
{
	bool held = holds(r, reg->host);

	*reg = r->reg[--r->nb];
	if (held && (!of_all(r->type) || r->nb == 0))
		r->type = 0;
}

static void
judge_all(struct plx_nvmet *c)
{
	uint32_t i;

	for (i = 0; i < c->nns; i++)
		judge(c, &c->ns[i]);
}

void
nvmet_resv_reset(struct plx_nvmet *c)
{
	struct registrant *reg;
	uint32_t i;

	memset(c->host, 0, sizeof(c->host));
	c->exhid = false;
	for (i = 0; i < c->nns; i++) {
		struct nvmet_resv *r = c->ns[i].resv;

		reg = r != NULL ? find(r, c->host) : NULL;
		if (reg != NULL)
			unregister(r, reg);
	}
	judge_all(c);
}

void
nvmet_resv_forget(struct nvmet_ns *ns)
{
	free(ns->resv);
	ns->resv = NULL;
	ns->deny = 0;
}

bool
nvmet_resv_is(uint8_t opc)
{
	return opc == nvme_cmd_resv_register || opc == nvme_cmd_resv_report ||
	       opc == nvme_cmd_resv_acquire || opc == nvme_cmd_resv_release;
}

bool
nvmet_resv_conflict(const struct nvmet_ns *ns, uint8_t opc)
{
	switch (opc) {
	case nvme_cmd_read:
	case nvme_cmd_compare:
	case nvme_cmd_verify:
	case nvme_zns_cmd_mgmt_recv:
		return (ns->deny & NVMET_DENY_READ) != 0;
	default:
		return (ns->deny & NVMET_DENY_WRITE) != 0;
	}
}

/* ---- register ---- */

static uint16_t
conflict(void)
{
	return NVMET_ERR(GENERIC, RESERVATION_CONFLICT);
}

static uint16_t
add(struct nvmet_resv *r, const uint8_t host[16], uint64_t key)
{
	struct registrant *reg = find(r, host);

	if (reg != NULL)
		return reg->key == key ? 0 : conflict();
	if (r->nb == HOSTS)
		return NVMET_ERR(GENERIC, INTERNAL);
	reg = &r->reg[r->nb++];
	memcpy(reg->host, host, sizeof(reg->host));
	reg->key = key;
	r->gen++;
	return 0;
}

static uint16_t
do_register(struct plx_nvmet *c, struct nvmet_resv *r, uint32_t dw10, const uint64_t key[2])
{
	struct registrant *reg = find(r, c->host);
	uint32_t act = dw10 & 7, cptpl = dw10 >> 30;
	bool match = reg != NULL && ((dw10 & 8) != 0 || reg->key == key[0]);

	if (act > NVME_RESERVATION_RREGA_REPLACE_KEY || cptpl == 1 ||
		cptpl == NVME_RESERVATION_CPTPL_PERSIST) /* nothing outlives power here */
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (act == NVME_RESERVATION_RREGA_REGISTER_KEY)
		return add(r, c->host, key[1]);
	if (!match)
		return conflict();
	if (act == NVME_RESERVATION_RREGA_UNREGISTER_KEY)
		unregister(r, reg);
	else
		reg->key = key[1];
	r->gen++;
	return 0;
}

/* ---- acquire ---- */

static void
take(struct plx_nvmet *c, struct nvmet_resv *r, uint8_t type)
{
	r->type = type;
	memcpy(r->holder, c->host, sizeof(r->holder));
}

/* Unregister the others, those with that key or (any) all. @return there were some */
static bool
expel(struct plx_nvmet *c, struct nvmet_resv *r, bool any, uint64_t key)
{
	uint32_t i = r->nb, n = r->nb;

	while (i-- > 0)
		if ((any || r->reg[i].key == key) &&
			memcmp(r->reg[i].host, c->host, sizeof(c->host)) != 0)
			unregister(r, &r->reg[i]);
	return r->nb != n;
}

static uint16_t
preempt(struct plx_nvmet *c, struct nvmet_resv *r, uint8_t type, uint64_t key)
{
	struct registrant *holder = r->type != 0 && !of_all(r->type) ? find(r, r->holder) : NULL;
	bool all = of_all(r->type) && key == 0, held = holder != NULL && holder->key == key;

	if (key == 0 && !all)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (!expel(c, r, all, key) && !all && !held)
		return conflict();
	if (all || held)
		take(c, r, type);
	r->gen++;
	return 0;
}

static uint16_t
do_acquire(struct plx_nvmet *c, struct nvmet_resv *r, uint32_t dw10, const uint64_t key[2])
{
	struct registrant *reg = find(r, c->host);
	uint8_t type = (uint8_t)(dw10 >> 8);
	uint32_t act = dw10 & 7;

	if (act > NVME_RESERVATION_RACQA_PREEMPT_AND_ABORT || (dw10 & 8) != 0 || type == 0 ||
		type > NVME_RESERVATION_RTYPE_EAAR)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (reg == NULL || reg->key != key[0])
		return conflict();
	if (act != NVME_RESERVATION_RACQA_ACQUIRE) /* nobody else has commands to abort */
		return preempt(c, r, type, key[1]);
	if (r->type != 0)
		return holds(r, c->host) && r->type == type ? 0 : conflict();
	take(c, r, type);
	return 0;
}

/* ---- release ---- */

static uint16_t
do_release(struct plx_nvmet *c, struct nvmet_resv *r, uint32_t dw10, const uint64_t key[1])
{
	struct registrant *reg = find(r, c->host);
	uint32_t act = dw10 & 7;

	if (act > NVME_RESERVATION_RRELA_CLEAR || (dw10 & 8) != 0)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (reg == NULL || reg->key != key[0])
		return conflict();
	if (act == NVME_RESERVATION_RRELA_CLEAR) {
		r->nb = 0;
		r->type = 0;
		r->gen++;
		return 0;
	}
	if (!holds(r, c->host))
		return 0;
	if (r->type != (uint8_t)(dw10 >> 8))
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	r->type = 0;
	return 0;
}

/* ---- report ---- */

static uint16_t
do_report(struct plx_nvmet *c, const struct nvmet_sqe *e, struct nvmet_resv *r)
{
	uint64_t len = ((uint64_t)rte_le_to_cpu_32(e->cdw10) + 1) * 4;
	struct nvme_resv_status *s = (void *)c->page;
	bool eds = (rte_le_to_cpu_32(e->cdw11) & 1) != 0;
	uint32_t i, size;

	static_assert(sizeof(c->page) >= 64 + HOSTS * sizeof(struct nvme_registered_ctrl_ext),
		"they find room");
	if (len > (uint64_t)NVMET_PAGE << c->mdts)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (eds != c->exhid)
		return NVMET_ERR(GENERIC, HOSTID_FORMAT);
	memset(c->page, 0, sizeof(c->page));
	s->gen = rte_cpu_to_le_32(r->gen);
	s->rtype = r->type;
	s->regctl[0] = (uint8_t)r->nb;
	for (i = 0; i < r->nb; i++) {
		const struct registrant *reg = &r->reg[i];
		bool here = memcmp(reg->host, c->host, sizeof(c->host)) == 0;
		/* FFFFh: no controller of ours just now */
		uint16_t id = rte_cpu_to_le_16(here ? NVMET_CNTLID : UINT16_MAX);

		if (eds) {
			s->regctl_eds[i].cntlid = id;
			s->regctl_eds[i].rcsts = holds(r, reg->host);
			s->regctl_eds[i].rkey = rte_cpu_to_le_64(reg->key);
			memcpy(s->regctl_eds[i].hostid, reg->host, sizeof(reg->host));
		} else {
			s->regctl_ds[i].cntlid = id;
			s->regctl_ds[i].rcsts = holds(r, reg->host);
			s->regctl_ds[i].rkey = rte_cpu_to_le_64(reg->key);
			memcpy(&s->regctl_ds[i].hostid, reg->host, sizeof(s->regctl_ds[i].hostid));
		}
	}
	size = eds ? 64 + r->nb * (uint32_t)sizeof(struct nvme_registered_ctrl_ext)
		   : 24 + r->nb * (uint32_t)sizeof(struct nvme_registered_ctrl);
	return nvmet_data_put(c, e, c->page, size, len);
}

uint32_t
nvmet_resv_run(struct plx_nvmet *c, const struct nvmet_sqe *e, struct nvmet_ns *ns)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10);
	uint64_t key[2] = {0};
	uint16_t rc;

	if (ns->resv == NULL)
		ns->resv = calloc(1, sizeof(*ns->resv));
	if (ns->resv == NULL)
		return NVMET_SC(GENERIC, INTERNAL);
	if (e->opc == nvme_cmd_resv_report) {
		rc = do_report(c, e, ns->resv);
		return rc != 0 ? rc : NVMET_DONE;
	}
	rc = nvmet_data_get(c, e, c->page, e->opc == nvme_cmd_resv_release ? 8 : 16);
	if (rc != 0)
		return rc;
	memcpy(key, c->page, e->opc == nvme_cmd_resv_release ? 8 : 16);
	key[0] = rte_le_to_cpu_64(key[0]);
	key[1] = rte_le_to_cpu_64(key[1]);
	if (e->opc == nvme_cmd_resv_register)
		rc = do_register(c, ns->resv, dw10, key);
	else if (e->opc == nvme_cmd_resv_acquire)
		rc = do_acquire(c, ns->resv, dw10, key);
	else
		rc = do_release(c, ns->resv, dw10, key);
	judge(c, ns);
	return rc != 0 ? rc : NVMET_DONE;
}

/* ---- features (Base 2.0, 5.27.1.25 to .27) ---- */

/* Once set it stays until the controller is reset. */
uint16_t
nvmet_set_host(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	bool exhid = (rte_le_to_cpu_32(e->cdw11) & 1) != 0;
	uint8_t host[16] = {0}, none[16] = {0};
	uint32_t len = exhid ? 16 : 8;
	uint16_t rc = nvmet_data_get(c, e, c->page, len);

	if (rc != 0)
		return rc;
	memcpy(host, c->page, len);
	if (memcmp(c->host, none, sizeof(none)) != 0 && memcmp(c->host, host, sizeof(host)) != 0)
		return NVMET_ERR(GENERIC, CMD_SEQ_ERROR);
	memcpy(c->host, host, sizeof(host));
	c->exhid = exhid;
	judge_all(c);
	return 0;
}

uint16_t
nvmet_get_host(struct plx_nvmet *c, const struct nvmet_sqe *e, bool current)
{
	static const uint8_t none[16];
	uint32_t len = (rte_le_to_cpu_32(e->cdw11) & 1) != 0 ? 16 : 8;

	if (current && memcmp(c->host, none, sizeof(none)) != 0 && (len == 16) != c->exhid)
		return NVMET_ERR(GENERIC, HOSTID_FORMAT);
	return nvmet_data_put(c, e, current ? c->host : none, len, len);
}
