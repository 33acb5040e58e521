/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <poll.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds of the monotonic clock. A deadline is a point on it, so that what waits in several
 * steps waits no longer in all than it was told to. */
static inline uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline uint64_t deadline_in(unsigned int ms)
{
	return now_ms() + ms;
}

/* For poll(2): what is left until @deadline, at least 0. */
static inline int ms_until(uint64_t deadline)
{
	uint64_t now = now_ms();

	return now < deadline ? (int)(deadline - now) : 0;
}
