/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* A policy of any number of rules such as owners write, and the devices to decide with it.
 *
 * Most rules name a PCI device by vendor and device, and its driver; some are for virtio, for USB
 * with a serial number, for the ids of an ACPI device, or a glob for the modalias. Two in each
 * policy name no device: there is nothing to find them by. The first SAMPLE_ENDS rules are of one
 * kind each and the last ones of the same kinds, whatever the number of rules, so that large and
 * small policies are asked for the same kinds. */

#define SAMPLE_ENDS 4
#define SAMPLE_RULES_MIN 10

/* The YAML of the rules from @first to before @end of @n, fewer if they would not fit into
 * @size_max bytes. A new string that the caller frees, its length, and the rule to go on with.
 * NULL when out of memory. */
char *sample_text(size_t n, size_t first, size_t end, size_t size_max, size_t *ret_size,
		  size_t *ret_next);

/* The whole policy, without an index; NULL when out of memory or where it does not parse. */
struct Policy *sample_policy(size_t n);

/* A device that rule @i of @n is the first to match, with @is_near one that no rule matches: an id
 * or the serial number is one that is not listed, all else is. @copy makes devices of one rule
 * differ in what does not matter. NULL when out of memory. */
struct Device *sample_device(size_t n, size_t i, bool is_near, size_t copy);

/* The rule that is like rule @k % SAMPLE_ENDS, at @i of @n or, where that one is not, behind it. */
size_t sample_like(size_t n, size_t i, size_t k);
