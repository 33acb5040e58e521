/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* The words between the harness and the agent in a guest, over a virtio-serial or ISA serial
 * port. Both ends are little endian and trust each other: the guest is ours. Frames are a header
 * and @length bytes. The serial line may carry noise before the first frame, none after. */
#define AGENT_MAGIC UINT32_C(0x4c616221)
#define AGENT_PORT "lab.agent"
#define AGENT_LENGTH_MAX (16U << 20)

enum agent_kind {
	/* agent: I am here. Empty. */
	AGENT_HELLO = 1,
	/* harness: run what follows with /bin/sh -c; @value is the deadline in milliseconds. */
	AGENT_RUN = 2,
	/* agent: the command ended; @value is its exit status, 128 + signal, or AGENT_TIMED_OUT.
	 * Its standard output and error, in the order written, follow. */
	AGENT_RESULT = 3,
};

#define AGENT_TIMED_OUT UINT32_C(1000)

struct agent_header {
	uint32_t magic;
	uint32_t kind;
	uint32_t value;
	uint32_t length;
};

/* What the agent saw as its first act as init, one device a line (see agent.c). */
#define AGENT_FIRST_SIGHT "/run/lab/first-sight"
#define AGENT_PATH "/usr/lib/tdx-lab/agent"
