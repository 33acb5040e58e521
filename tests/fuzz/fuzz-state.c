/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include <errno.h>

#include "fuzz.h"

/* The input is a file of state: damaged, half written, or somebody else's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct Registry registry = {0};
	struct State state = STATE_CLOSED;
	size_t lines = 0, n = 0;
	ino_t before = 0;
	int r = state_parse((const char *)data, size, &registry, &state, &lines);

	check(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	for (struct Known *known = registry.first; known; known = known->next) {
		check(known->syspath[0] == '/');
		check(known->authorized >= -1 && known->authorized <= 1);
		check(known->before >= -1 && known->before <= 1);
		check(!known->is_ours || !known->is_by_hand);
		check(registry_find(&registry, known->syspath) == known);
		check(r < 0 || known->ino >= before); /* in the order in which they came */
		before = known->ino;
		n++;
	}
	check(n == registry.n);
	check(r < 0 || n <= lines);
	registry_done(&registry);
	return 0;
}
