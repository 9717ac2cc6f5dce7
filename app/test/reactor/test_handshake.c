/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handshake of reactor_sleep.c, every way it can run: one reactor, two senders of two messages
 * each, on processors that keep stores back for as long as they like (x86-TSO). In no state may all
 * senders be done, the reactor asleep and a message left that it has not seen. Then with a mistake
 * each, which must be found.
 */
#include <stdbool.h>

#include "plx_test.h"

#define SENDERS 2
#define SENDS 2
#define BUFFER 2 /* stores that a processor keeps back; none of them needs more */

enum fault {
	NONE,
	NO_FENCE_REACTOR,
	NO_FENCE_SENDER,
	LOOK_BEFORE_ARM,
	WAKE_BEFORE_PUBLISH,
	NO_LOOK,
	FAULTS
};

enum { AWAKE, ARMED };

/* Program counters; R and W are those of reactor_sleep.c. */
enum { R_TURN, R1_ARM, R2_FENCE, R3_LOOK, R4_SLEEP, R5_AWAKE, R5_READ };
enum { W1_PUBLISH, W2_FENCE, W3_TEST, W3_CHANGE, W3_WRITE, W_NEXT };

struct state {
	/* memory */
	uint8_t state, efd, pub[SENDERS];
	/* the reactor; its buffer holds values of state, the senders' those of their pub */
	uint8_t r_pc, at, found, seen[SENDERS], r_n, r_buf[BUFFER];
	struct sender {
		uint8_t pc, sent, done, n, buf[BUFFER];
	} w[SENDERS];
};

/* ---- states seen, and to be looked at ---- */

#define TABLE (1u << 20)

static struct state seen[TABLE], todo[TABLE];
static bool used[TABLE];
static unsigned int nb_seen, nb_todo;

static void
visit(const struct state *s)
{
	const uint8_t *p = (const uint8_t *)s;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ p[i]) * 16777619u;
	for (h %= TABLE; used[h]; h = (h + 1) % TABLE)
		if (memcmp(&seen[h], s, sizeof(*s)) == 0)
			return;
	REQUIRE(nb_seen < TABLE - 1);
	used[h] = true;
	seen[h] = *s;
	nb_seen++;
	todo[nb_todo++] = *s;
}

/* ---- steps; each that is possible leads to a state to visit ---- */

static void
push(uint8_t *n, uint8_t *buf, uint8_t value)
{
	REQUIRE(*n < BUFFER);
	buf[(*n)++] = value;
}

/* The oldest store becomes visible. */
static void
drain(uint8_t *n, uint8_t *buf, uint8_t *to)
{
	*to = buf[0];
	memmove(buf, buf + 1, BUFFER - 1);
	buf[BUFFER - 1] = 0;
	--*n;
}

static void
look(struct state *s, uint8_t next)
{
	s->found |= s->pub[s->at] != s->seen[s->at];
	s->seen[s->at] = s->pub[s->at];
	if (++s->at == SENDERS) {
		s->at = 0;
		s->r_pc = next;
	}
}

static void
step_reactor(struct state s, enum fault fault)
{
	switch (s.r_pc) {
	case R_TURN:
		look(&s, R1_ARM);
		if (s.r_pc != R1_ARM)
			break;
		if (s.found)
			s.r_pc = R_TURN;
		else if (fault == LOOK_BEFORE_ARM)
			s.r_pc = R3_LOOK;
		s.found = 0;
		break;
	case R1_ARM:
		if (s.r_n == BUFFER)
			return;
		push(&s.r_n, s.r_buf, ARMED);
		s.r_pc = fault == LOOK_BEFORE_ARM || fault == NO_LOOK ? R4_SLEEP : R2_FENCE;
		break;
	case R2_FENCE:
		if (s.r_n != 0 && fault != NO_FENCE_REACTOR)
			return;
		s.r_pc = R3_LOOK;
		break;
	case R3_LOOK:
		look(&s, fault == LOOK_BEFORE_ARM ? R1_ARM : R4_SLEEP);
		break;
	case R4_SLEEP: /* what was found keeps it from sleeping */
		if (!s.found && s.efd == 0)
			return;
		s.found = 0;
		s.r_pc = R5_AWAKE;
		break;
	case R5_AWAKE:
		if (s.r_n == BUFFER)
			return;
		push(&s.r_n, s.r_buf, AWAKE);
		s.r_pc = R5_READ;
		break;
	default: /* R5_READ */
		s.efd = 0;
		s.r_pc = R_TURN;
	}
	visit(&s);
}

static void
step_sender(struct state s, int i, enum fault fault)
{
	struct sender *w = &s.w[i];

	switch (w->pc) {
	case W1_PUBLISH:
		if (w->n == BUFFER)
			return;
		push(&w->n, w->buf, ++w->sent);
		w->pc = fault == WAKE_BEFORE_PUBLISH ? W_NEXT : W2_FENCE;
		break;
	case W2_FENCE:
		if (w->n != 0 && fault != NO_FENCE_SENDER)
			return;
		w->pc = W3_TEST;
		break;
	case W3_TEST:
		w->pc = s.state == ARMED               ? W3_CHANGE
			: fault == WAKE_BEFORE_PUBLISH ? W1_PUBLISH
						       : W_NEXT;
		break;
	case W3_CHANGE: /* compare and exchange: a full barrier */
		if (w->n != 0)
			return;
		w->pc = s.state == ARMED               ? W3_WRITE
			: fault == WAKE_BEFORE_PUBLISH ? W1_PUBLISH
						       : W_NEXT;
		s.state = AWAKE;
		break;
	case W3_WRITE:
		s.efd = 1;
		w->pc = fault == WAKE_BEFORE_PUBLISH ? W1_PUBLISH : W_NEXT;
		break;
	default: /* W_NEXT */
		if (w->done == SENDS)
			return;
		w->pc = ++w->done == SENDS             ? W_NEXT
			: fault == WAKE_BEFORE_PUBLISH ? W2_FENCE
						       : W1_PUBLISH;
	}
	visit(&s);
}

static void
step_buffers(const struct state *from)
{
	struct state s = *from;

	if (s.r_n != 0) {
		drain(&s.r_n, s.r_buf, &s.state);
		visit(&s);
	}
	for (int i = 0; i < SENDERS; i++) {
		s = *from;
		if (s.w[i].n == 0)
			continue;
		drain(&s.w[i].n, s.w[i].buf, &s.pub[i]);
		visit(&s);
	}
}

static bool
lost(const struct state *s)
{
	bool left = false;

	for (int i = 0; i < SENDERS; i++) {
		if (s->w[i].done != SENDS || s->w[i].n != 0)
			return false;
		left |= s->seen[i] != s->pub[i];
	}
	return left && s->r_pc == R4_SLEEP && !s->found && s->efd == 0;
}

/* @return states in which a wake-up is lost */
static unsigned int
explore(enum fault fault)
{
	struct state s = {0};
	unsigned int bad = 0;

	memset(used, 0, sizeof(used));
	nb_seen = nb_todo = 0;
	for (int i = 0; fault == WAKE_BEFORE_PUBLISH && i < SENDERS; i++)
		s.w[i].pc = W2_FENCE;
	visit(&s);
	while (nb_todo != 0) {
		s = todo[--nb_todo];
		bad += lost(&s);
		step_reactor(s, fault);
		for (int i = 0; i < SENDERS; i++)
			step_sender(s, i, fault);
		step_buffers(&s);
	}
	return bad;
}

static void
test_handshake(void)
{
	CHECK_EQ(explore(NONE), 0);
	printf("%u states\n", nb_seen);
	CHECK(nb_seen > 10000, "that can't be all");
}

static void
test_mistakes(void)
{
	for (int f = NONE + 1; f < FAULTS; f++)
		CHECK(explore((enum fault)f) != 0, "mistake %d was not found", f);
}

int
main(void)
{
	RUN(test_handshake);
	RUN(test_mistakes);
	return TEST_RESULT();
}
