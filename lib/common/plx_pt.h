/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_PT_H
#define PLX_PT_H
/**
 * @file
 * Control state machines written as straight code: a function that is called again until it
 * ends, and goes on where it waited. Locals don't survive a wait; state lives in the object.
 *
 *	static int
 *	enable(struct ctrl *c)
 *	{
 *		PLX_PT_BEGIN(&c->pt);
 *		PLX_PT_CALL(&c->pt, c->rc, reg_write(c, CC, cc), plx_vfio_poll(c->vfio));
 *		if (c->rc != 0)
 *			PLX_PT_RETURN(&c->pt, c->rc);
 *		PLX_PT_WAIT(&c->pt, ready(c) || plx_deadline_past(c->until));
 *		PLX_PT_END(&c->pt);
 *	}
 *
 * It returns -EINPROGRESS while it waits, and its result, once, at the end; after that the next
 * call starts it afresh. No switch statement may enclose a wait.
 */
#include <errno.h>

/** Where a state machine stands; zero: at its beginning. */
struct plx_pt {
	int line;
};

#define PLX_PT_BEGIN(pt)      \
	switch ((pt)->line) { \
	case 0:

/** Return -EINPROGRESS from here until cond holds. */
#define PLX_PT_WAIT(pt, cond)                 \
	do {                                  \
		(pt)->line = __LINE__;        \
		__attribute__((fallthrough)); \
	case __LINE__:                        \
		if (!(cond))                  \
			return -EINPROGRESS;  \
	} while (0)

/** Return -EINPROGRESS once. */
#define PLX_PT_YIELD(pt)               \
	do {                           \
		(pt)->line = __LINE__; \
		return -EINPROGRESS;   \
	case __LINE__:;                \
	} while (0)

/** rc = begin; while it is -EINPROGRESS, rc = again at each call. */
#define PLX_PT_CALL(pt, rc, begin, again)            \
	do {                                         \
		(rc) = (begin);                      \
		if ((rc) == -EINPROGRESS) {          \
			(pt)->line = __LINE__;       \
			return -EINPROGRESS;         \
		case __LINE__:                       \
			(rc) = (again);              \
			if ((rc) == -EINPROGRESS)    \
				return -EINPROGRESS; \
		}                                    \
	} while (0)

#define PLX_PT_RETURN(pt, rc)   \
	do {                    \
		(pt)->line = 0; \
		return (rc);    \
	} while (0)

#define PLX_PT_END(pt)  \
	}               \
	(pt)->line = 0; \
	return 0

#endif
